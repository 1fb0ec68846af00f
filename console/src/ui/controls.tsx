/** Buttons and fields. */
import { ChevronRight, type LucideIcon } from "lucide-react";
import { type ComponentProps, type ElementType, type ReactNode, useId } from "react";
import { classes } from "./classes";
import styles from "./controls.module.css";

export interface ButtonProps extends ComponentProps<"button"> {
  tone?: "primary" | "danger" | "quiet" | undefined;
  large?: boolean;
}

/** A button. While it is disabled it keeps the focus, which the browser would take from it. */
export function Button({ tone, large, className, disabled = false, onClick, ...rest }: ButtonProps) {
  const names = classes(styles.button, tone && styles[tone], large && styles.large, className);
  const click: ButtonProps["onClick"] = (event) => {
    // A form is not submitted either.
    if (disabled) event.preventDefault();
    else onClick?.(event);
  };
  return <button type="button" {...rest} aria-disabled={disabled} onClick={click} className={names} />;
}

interface IconButtonProps extends ButtonProps {
  label: string;
  icon: LucideIcon;
}

/** A button with an icon alone; its label is read out and shown as a tip. */
export function IconButton({ label, icon: Icon, className, ...rest }: IconButtonProps) {
  const names = classes(styles.icon, className);
  return (
    <Button tone="quiet" {...rest} className={names} aria-label={label} title={label}>
      <Icon size={16} />
    </Button>
  );
}

type Control = "input" | "textarea" | "select";
type FieldProps<Tag extends Control> = ComponentProps<Tag> & {
  /** Stands above the field; a field without one has an aria-label. */
  label?: string | undefined;
  hint?: ReactNode;
};

/** A field with its label, and what is said about it. */
function Field<Tag extends Control>({ of, label, hint, className, ...rest }: FieldProps<Tag> & { of: Tag }) {
  const id = useId();
  const Element = of as ElementType;
  const own = { ...rest, className: classes(styles.input, className) };
  if (label === undefined) return <Element {...own} />;
  return (
    <div className="column tight">
      <label className="small strong dim" htmlFor={id}>
        {label}
      </label>
      <Element {...{ id, ...own }} aria-describedby={hint ? `${id}-about` : undefined} />
      {hint && (
        <span id={`${id}-about`} className="small faint">
          {hint}
        </span>
      )}
    </div>
  );
}

export const Input = (props: FieldProps<"input">) => <Field of="input" {...props} />;
export const TextArea = (props: FieldProps<"textarea">) => <Field of="textarea" {...props} />;

/** A choice that cannot be taken is shown all the same. */
export type Choices = readonly (readonly [value: string | number, name: string, isDisabled?: boolean])[];

interface SelectProps extends Omit<FieldProps<"select">, "onChange"> {
  choices: Choices;
  onChoose: (value: string) => void;
  quiet?: boolean;
}

export function Select({ choices, onChoose, quiet, className, ...rest }: SelectProps) {
  const names = classes(quiet && styles.quiet, className);
  return (
    <Field of="select" {...rest} className={names} onChange={({ target }) => onChoose(target.value)}>
      {choices.map(([value, name, isDisabled]) => (
        <option key={value} value={value} disabled={isDisabled}>
          {name}
        </option>
      ))}
    </Field>
  );
}

interface FormProps extends Omit<ComponentProps<"form">, "onSubmit"> {
  onSubmit: () => void;
}

/** A form whose content the console sends, and not the browser. */
export function Form({ onSubmit, ...rest }: FormProps) {
  const submit: ComponentProps<"form">["onSubmit"] = (event) => {
    event.preventDefault();
    onSubmit();
  };
  return <form {...rest} onSubmit={submit} />;
}

/** A checkbox. While it is disabled it keeps the focus, as a button does. */
export function Check({ children, disabled = false, onChange, ...rest }: ComponentProps<"input">) {
  return (
    <label className={styles.check}>
      <input type="checkbox" {...rest} aria-disabled={disabled} onChange={disabled ? undefined : onChange} />
      <span>{children}</span>
    </label>
  );
}

/** Whether what is below a button is shown. */
export function Chevron({ isOpen }: { isOpen: boolean }) {
  return <ChevronRight size={14} className={isOpen ? styles.down : undefined} />;
}
