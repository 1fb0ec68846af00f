const KEY = "taskbeacon.project";

export const rememberedProject = (): number => Number(localStorage.getItem(KEY));

export const rememberProject = (id: number): void => localStorage.setItem(KEY, String(id));
