import { createRoot } from "react-dom/client";
import { App } from "./app/App";
import { applyLooks } from "./ui/appearance";
import "./ui/base.css";
import { keepFocus } from "./ui/focus";
import { ignoreUnmeant } from "./ui/unmeant";

applyLooks();
keepFocus();
ignoreUnmeant();
const root = document.getElementById("root");
if (root) createRoot(root).render(<App />);
