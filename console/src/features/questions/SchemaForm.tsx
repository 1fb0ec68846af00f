import { useId, useState } from "react";
import type { Answer, InboxRow } from "../../api/types";
import { classes } from "../../ui/classes";
import { Button, Check, Form, Input } from "../../ui/controls";
import styles from "./questions.module.css";
import { contentOf, type FormField, type FormValue, fieldsOf, missingField } from "./schema";

export interface PartProps {
  question: InboxRow;
  isBusy: boolean;
  isBrief: boolean;
  /** Returns whether the answer is given. */
  onAnswer: (answer: Answer) => boolean;
}

export function SchemaForm({ question, isBusy, onAnswer }: PartProps) {
  const fields = fieldsOf(question.schema);
  const [values, setValues] = useState<Record<string, FormValue>>(() =>
    Object.fromEntries(fields.map(({ name, initial }) => [name, initial])),
  );
  const missing = missingField(fields, values);
  const send = () => missing || onAnswer({ action: "accept", content: contentOf(fields, values) });
  return (
    <Form className="column spaced" onSubmit={send}>
      {fields.map((field) => (
        <OneField
          key={field.name}
          field={field}
          value={values[field.name] ?? ""}
          onChange={(value) => setValues((before) => ({ ...before, [field.name]: value }))}
        />
      ))}
      {missing && <p className="small dim">Still to be filled in: {missing.label}</p>}
      <div className={classes("row wrap spaced", styles.buttons)}>
        <Button large disabled={isBusy} onClick={() => onAnswer({ action: "decline" })}>
          Decline
        </Button>
        <Button large tone="primary" type="submit" disabled={isBusy || missing !== null}>
          Send
        </Button>
      </div>
    </Form>
  );
}

interface OneFieldProps {
  field: FormField;
  value: FormValue;
  onChange: (value: FormValue) => void;
}

function OneField({ field, value, onChange }: OneFieldProps) {
  const group = useId();
  if (field.type === "boolean") {
    return (
      <Check checked={value === true} onChange={(event) => onChange(event.target.checked)}>
        {field.label}
        <Said text={field.description} />
      </Check>
    );
  }
  if (field.type === "choice" || field.type === "choices") {
    const chosen = Array.isArray(value) ? value : [value];
    return (
      <fieldset className={classes("card snug", styles.choices)}>
        <legend className="strong">
          {field.label}
          <Said text={field.description} />
        </legend>
        {field.choices.map((choice) => (
          <Check
            key={choice.value}
            type={field.type === "choice" ? "radio" : "checkbox"}
            name={group}
            checked={chosen.includes(choice.value)}
            onChange={(event) => {
              if (field.type === "choice") return onChange(choice.value);
              const others = chosen.filter((one) => one !== choice.value);
              onChange((event.target.checked ? [...others, choice.value] : others) as string[]);
            }}
          >
            {choice.label}
            <Said text={choice.description} />
          </Check>
        ))}
      </fieldset>
    );
  }
  return (
    <Input
      label={field.label}
      hint={field.description}
      type={field.type}
      {...field.limits}
      required={field.isRequired}
      value={String(value)}
      onChange={(event) => onChange(event.target.value)}
    />
  );
}

function Said({ text }: { text: string }) {
  return text && <span className="column small dim">{text}</span>;
}
