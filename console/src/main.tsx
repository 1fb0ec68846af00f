import { createRoot } from "react-dom/client";
import { App } from "./app/App";
import { applyTheme } from "./ui/appearance";
import "./ui/base.css";
import { keepFocus } from "./ui/focus";
import { ignoreUnmeant } from "./ui/unmeant";

applyTheme();
keepFocus();
ignoreUnmeant();
const root = document.getElementById("root");
if (root) createRoot(root).render(<App />);
