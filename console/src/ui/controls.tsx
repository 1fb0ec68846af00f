/** Buttons and fields. */
import {
  type ButtonHTMLAttributes,
  type InputHTMLAttributes,
  type MouseEvent,
  type ReactNode,
  type Ref,
  type SelectHTMLAttributes,
  type TextareaHTMLAttributes,
  useId,
} from "react";
import { classes } from "./classes";
import styles from "./controls.module.css";

type Tone = "primary" | "danger" | "quiet";

export interface ButtonProps extends ButtonHTMLAttributes<HTMLButtonElement> {
  tone?: Tone;
  large?: boolean;
  ref?: Ref<HTMLButtonElement>;
}

/** A button. While it is disabled it keeps the focus, which the browser would take from it. */
export function Button({ tone, large, className, disabled = false, onClick, ...rest }: ButtonProps) {
  const names = classes(styles.button, tone && styles[tone], large && styles.large, className);
  const click = (event: MouseEvent<HTMLButtonElement>) => {
    // A form is not submitted either.
    if (disabled) event.preventDefault();
    else onClick?.(event);
  };
  return <button type="button" {...rest} aria-disabled={disabled} onClick={click} className={names} />;
}

interface IconButtonProps extends ButtonProps {
  label: string;
}

/** A button with an icon alone; its label is read out and shown as a tip. */
export function IconButton({ label, className, ...rest }: IconButtonProps) {
  return (
    <Button
      tone="quiet"
      {...rest}
      className={classes(styles.icon, className)}
      aria-label={label}
      title={label}
    />
  );
}

interface FieldProps {
  label: string;
  hint?: ReactNode;
  problem?: string | null;
  children: (ids: { id: string; "aria-describedby"?: string; "aria-invalid"?: boolean }) => ReactNode;
}

export function Field({ label, hint, problem, children }: FieldProps) {
  const id = useId();
  const about = problem || hint ? { "aria-describedby": `${id}-about` } : {};
  return (
    <div className={styles.field}>
      <label className={styles.label} htmlFor={id}>
        {label}
      </label>
      {children({ id, ...about, ...(problem ? { "aria-invalid": true } : {}) })}
      {(problem || hint) && (
        <span id={`${id}-about`} className={problem ? styles.problem : styles.hint}>
          {problem ?? hint}
        </span>
      )}
    </div>
  );
}

interface InputProps extends InputHTMLAttributes<HTMLInputElement> {
  ref?: Ref<HTMLInputElement>;
}

export function Input({ className, ...rest }: InputProps) {
  return <input {...rest} className={classes(styles.input, className)} />;
}

interface TextAreaProps extends TextareaHTMLAttributes<HTMLTextAreaElement> {
  ref?: Ref<HTMLTextAreaElement>;
}

export function TextArea({ className, ...rest }: TextAreaProps) {
  return <textarea {...rest} className={classes(styles.input, className)} />;
}

export function Select({ className, ...rest }: SelectHTMLAttributes<HTMLSelectElement>) {
  return <select {...rest} className={classes(styles.input, className)} />;
}

interface CheckProps extends InputHTMLAttributes<HTMLInputElement> {
  children: ReactNode;
}

/** A checkbox. While it is disabled it keeps the focus, as a button does. */
export function Check({ children, disabled = false, onChange, ...rest }: CheckProps) {
  return (
    <label className={styles.check}>
      <input type="checkbox" {...rest} aria-disabled={disabled} onChange={disabled ? undefined : onChange} />
      <span>{children}</span>
    </label>
  );
}
