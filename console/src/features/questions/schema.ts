/** Forms that agents ask to fill in: flat JSON Schemas, as the Agent Client Protocol allows them. Pure. */
import { asObject, asText, type Json } from "../../transcript/wire";

export interface Choice {
  value: string;
  label: string;
  description: string;
}

export interface FormField {
  name: string;
  label: string;
  description: string;
  type: "text" | "number" | "boolean" | "choice" | "choices";
  choices: Choice[];
  isRequired: boolean;
  /** What the browser checks while one types; the service checks the whole. */
  limits: { min?: number; max?: number; minLength?: number; maxLength?: number; step?: number | "any" };
  initial: FormValue;
}

export type FormValue = string | boolean | string[];

const TYPES: Record<string, FormField["type"]> = { boolean: "boolean", number: "number", integer: "number" };

const CUSTOM = "_custom";

function choicesOf(schema: Json): Choice[] {
  const titled = [schema.oneOf, schema.anyOf].find(Array.isArray) as unknown[] | undefined;
  const plain = Array.isArray(schema.enum) ? schema.enum.map((value) => ({ const: String(value) })) : [];
  return (titled ?? plain).map(asObject).map((one) => {
    const value = String(one.const ?? "");
    return { value, label: asText(one.title) || value, description: asText(one.description) };
  });
}

/** A field for an answer of one's own (`question_0_custom`) belongs below its question, wherever the schema has it. */
function besideTheirQuestions(properties: Json): [name: string, value: unknown][] {
  const entries = Object.entries(properties);
  const isCustom = (name: string): boolean => {
    const base = name.slice(0, -CUSTOM.length);
    return name.endsWith(CUSTOM) && Object.hasOwn(properties, base) && !isCustom(base);
  };
  return entries
    .filter(([name]) => !isCustom(name))
    .flatMap((entry) => [entry, ...entries.filter(([name]) => name === entry[0] + CUSTOM)]);
}

export function fieldsOf(schema: unknown): FormField[] {
  const { properties, required } = asObject(schema);
  const needed = Array.isArray(required) ? required : [];
  return besideTheirQuestions(asObject(properties)).map(([name, value]) => {
    const property = asObject(value);
    const isMany = property.type === "array";
    const choices = choicesOf(isMany ? asObject(property.items) : property);
    const single = choices.length ? "choice" : (TYPES[asText(property.type)] ?? "text");
    const type = isMany ? "choices" : single;
    return {
      name,
      label: asText(property.title) || name,
      description: asText(property.description),
      type,
      choices,
      isRequired: needed.includes(name),
      limits: limitsOf(property),
      initial: initialOf(type, property.default),
    };
  });
}

const STEPS: Record<string, FormField["limits"]> = { integer: { step: 1 }, number: { step: "any" } };

function limitsOf({ minimum: min, maximum: max, minLength, maxLength, type }: Json): FormField["limits"] {
  const given = Object.entries({ min, max, minLength, maxLength });
  const known = given.filter(([, value]) => typeof value === "number");
  return { ...Object.fromEntries(known), ...STEPS[asText(type)] };
}

function initialOf(type: FormField["type"], value: unknown): FormValue {
  if (type === "boolean") return value === true;
  if (type === "choices") return Array.isArray(value) ? value.map(String) : [];
  return value === undefined || value === null ? "" : String(value);
}

/** Return what to send; empty fields are left out. */
export function contentOf(fields: FormField[], values: Record<string, FormValue>): Json {
  const content: Json = {};
  for (const { name, type } of fields) {
    const value = values[name] ?? "";
    if (type === "boolean") content[name] = value === true;
    else if (typeof value !== "boolean" && value.length > 0)
      content[name] = type === "number" ? Number(value) : value;
  }
  return content;
}

export function missingField(fields: FormField[], values: Record<string, FormValue>): FormField | null {
  const content = contentOf(fields, values);
  return fields.find(({ name, isRequired }) => isRequired && !(name in content)) ?? null;
}
