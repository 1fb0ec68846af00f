import { createRoot } from "react-dom/client";
import { App } from "./app/App";
import "./ui/base.css";
import { keepFocus } from "./ui/focus";
import { ignoreSecondClicks } from "./ui/secondClick";
import { ignoreStrayKeys } from "./ui/strayKeys";
import { applyTheme } from "./ui/theme";

applyTheme();
keepFocus();
ignoreSecondClicks();
ignoreStrayKeys();
const root = document.getElementById("root");
if (root) createRoot(root).render(<App />);
