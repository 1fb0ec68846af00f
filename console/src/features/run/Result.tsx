/** The structured output of a run, field by field. */
import { asObject } from "../../transcript/wire";
import { scrolling } from "../../ui/classes";
import { CodeLine } from "../../ui/code";
import { CopyButton } from "../../ui/copy";

const MOST_FIELDS = 100;

const textOf = (value: unknown) => (typeof value === "string" ? value : JSON.stringify(value, null, 2));

export function Result({ value }: { value: unknown }) {
  const fields = Object.entries(asObject(value));
  const rest = fields.length - MOST_FIELDS;
  return (
    <div className="column tight small">
      <p className="row strong">
        Result <CopyButton text={textOf(value)} label="Copy the result" />
      </p>
      <div className="well" {...scrolling("Result")}>
        {fields.length === 0 && <CodeLine text={textOf(value)} marks={undefined} />}
        <dl className="pairs">
          {fields.slice(0, MOST_FIELDS).map(([name, one]) => (
            <div key={name}>
              <dt className="faint">
                <CodeLine text={name} marks={undefined} />
              </dt>
              <dd>
                <CodeLine text={textOf(one)} marks={undefined} />
              </dd>
            </div>
          ))}
        </dl>
        {rest > 0 && <i className="faint">{rest} more fields</i>}
      </div>
    </div>
  );
}
