// Dialogs: at the side for one thing looked at, in the middle for one thing asked.

import { h, icon, ICONS, problem, show } from "./dom.js";

function made(kind, title, body, footer) {
  const close = h("button", { type: "button", class: "icon", "aria-label": "Close", onclick: () => dialog.close() }, icon(...ICONS.close));
  const heading = h("h2", null, title);
  const dialog = h("dialog", { class: kind, "aria-label": title }, h("div", { class: "dialog-in" },
    h("header", null, heading, close), h("div", { class: "dialog-body" }, body), footer && h("footer", null, footer)));
  dialog.addEventListener("close", () => dialog.remove());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

export const sideBox = (title, body, footer) => made("side", title, body, footer);

// `act` is given the button; the box closes once it says true.
export function confirmBox(title, body, yes, act, kind = "primary") {
  const told = h("div", { "aria-live": "assertive" });
  const go = h("button", { type: "button", class: kind, onclick: async () => {
    go.disabled = true;
    show(told);
    try {
      if (await act(go)) box.close();
    } catch (error) {
      show(told, problem(error));
    }
    go.disabled = false;
  } }, yes);
  const box = made("box", title, [body, told], [h("button", { type: "button", onclick: () => box.close() }, "Cancel"), h("span", { class: "end" }, go)]);
  box.go = go;
  return box;
}
