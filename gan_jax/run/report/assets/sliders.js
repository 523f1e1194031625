"use strict";
// Each slider chooses which picture of its direction is seen. Without this file that is the middle one.
(() => {
  const sliders = [...document.querySelectorAll(".frames input")];
  for (const slider of sliders) {
    const frames = [...slider.closest(".frames").querySelectorAll(".frame")];
    slider.addEventListener("input", () => {
      frames.forEach((frame, i) => frame.toggleAttribute("data-off", i !== Number(slider.value)));
      const shown = frames[slider.value].querySelector("span").textContent;
      slider.setAttribute("aria-valuetext", shown);
    });
  }
  document.getElementById("middle").addEventListener("click", () => {
    for (const slider of sliders) {
      slider.value = slider.defaultValue;
      slider.dispatchEvent(new Event("input"));
    }
  });
})();
