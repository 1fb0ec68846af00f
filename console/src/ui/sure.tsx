import { useEffect, useState } from "react";
import { Button, type ButtonProps } from "./controls";

/** Longer than the pause in a double click. */
const GUARD_MS = 500;

interface Props extends Omit<ButtonProps, "onClick" | "onBlur"> {
  /** What the button says the second time. */
  sureLabel: string;
  onSure: () => void;
}

/** Asks once more, until the focus goes elsewhere. A double click does not answer. */
export function SureButton({ sureLabel, onSure, children, disabled, ...rest }: Props) {
  const [step, setStep] = useState<"first" | "guarded" | "sure">("first");
  useEffect(() => {
    if (step !== "guarded") return;
    const timer = setTimeout(() => setStep("sure"), GUARD_MS);
    return () => clearTimeout(timer);
  }, [step]);
  return (
    <Button
      {...rest}
      disabled={disabled || step === "guarded"}
      onClick={() => {
        if (step === "sure") onSure();
        setStep(step === "sure" ? "first" : "guarded");
      }}
      onBlur={() => setStep("first")}
    >
      {step === "first" ? children : sureLabel}
    </Button>
  );
}
