import { type UseMutationOptions, useMutation } from "@tanstack/react-query";
import { useRef } from "react";

/**
 * A mutation that runs once at a time: what asks for it meanwhile is ignored. `isPending` is shown a moment later only,
 * after the second click of a double one.
 */
export function useAction<Result, Argument = void>(options: UseMutationOptions<Result, Error, Argument>) {
  const isRunning = useRef(false);
  const { mutate: run, ...mutation } = useMutation({
    ...options,
    onSettled: (...outcome) => {
      isRunning.current = false;
      return options.onSettled?.(...outcome);
    },
  });
  const mutate = (argument: Argument) => {
    if (isRunning.current) return;
    isRunning.current = true;
    run(argument);
  };
  return { ...mutation, mutate };
}
