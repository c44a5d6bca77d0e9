"use strict";
(() => {
  // data.places: for each place [chosen option, [[text, chance], ...], [sentences about it]]
  const { places } = JSON.parse(document.getElementById("data").textContent);
  const byId = (id) => document.getElementById(id);
  const [article, pop, said] = [byId("article"), byId("pop"), byId("said")];
  const first = places.map((place) => place[0]);
  const chosen = [...first];
  const elements = new Map([...article.querySelectorAll("[data-i]")].map((el) => [Number(el.dataset.i), el]));
  const sources = new Map([...document.querySelectorAll("[data-s]")].map((el) => [Number(el.dataset.s), el]));
  const indexes = [...elements.keys()];
  const isGap = (index) => index % 2 === 0;
  const textOf = (index) => places[index][1][chosen[index]][0];
  const current = () => places.map((_, index) => textOf(index)).join("");
  const marked = new Set(indexes.filter((index) => elements.get(index).className));
  const reachable = (index) => elements.has(index) && (!isGap(index) || marked.has(index) || chosen[index] !== first[index]);
  let open = -1; // the place that the popover is about
  let held = false; // whether it stays when the pointer leaves
  let last = -1; // the place that Tab comes back to
  let timer = 0;
  let quiet = false; // focus comes back to a place that need not be shown again
  let pointing = false; // a press has begun: what opens now would lie under the finger when it ends

  // Text into the page: text nodes only, with unseen characters spelled out, as in page.py.
  const UNSEEN = /(?![\t\n\u200c\u200d])[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\u115f\u1160\u3164\uffa0]/gu;
  const RIGHT_TO_LEFT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;

  function make(name, className, text) {
    const el = document.createElement(name);
    if (className) el.className = className;
    if (text !== undefined) show(el, text);
    return el;
  }

  function show(el, text) {
    const into = RIGHT_TO_LEFT.test(text) ? el.appendChild(document.createElement("bdi")) : el;
    let at = 0;
    for (const found of text.matchAll(UNSEEN)) {
      into.append(text.slice(at, found.index));
      const code = found[0].codePointAt(0).toString(16).toUpperCase().padStart(4, "0");
      const mark = into.appendChild(document.createElement("span"));
      mark.className = "unseen";
      mark.textContent = "U+" + code;
      at = found.index + found[0].length;
    }
    into.append(text.slice(at));
  }

  function fill(el, text) {
    el.replaceChildren();
    const [, before, core, after] = /^([ \t\r\n\u00a0]*)([^]*?)([ \t\r\n\u00a0]*)$/.exec(text.replaceAll("\r\n", "\n"));
    const space = (part) => (part.includes("\n") ? el.append(make("span", "br", part)) : show(el, part));
    space(before);
    core.split(/([ \t\r\n\u00a0]*\n[ \t\r\n\u00a0]*)/).forEach((part, number) => (number % 2 ? space(part) : el.append(make("span", "c", part))));
    space(after);
  }

  // What the popover calls a text.
  function spoken(text, gap) {
    if (gap && !text.trim()) return text.includes("\n") ? "¶" : "nothing";
    return (gap ? text.trim() : text).replace(/\s*\n\s*/g, " ¶ ").trim();
  }

  function setRoles(index, on) {
    const el = elements.get(index);
    if (!on) {
      for (const name of ["role", "tabindex", "aria-haspopup", "aria-expanded", "aria-controls", "aria-label", "aria-describedby"]) el.removeAttribute(name);
      return;
    }
    el.setAttribute("role", "button");
    el.setAttribute("aria-haspopup", "dialog");
    el.setAttribute("aria-expanded", String(open === index));
    if (!el.hasAttribute("tabindex")) el.tabIndex = -1;
    const blank = !textOf(index).trim();
    if (blank) el.setAttribute("aria-label", spoken(textOf(index), true) + ", " + (el.dataset.name || nameOf(index)));
    else el.removeAttribute("aria-label");
  }

  function nameOf(index) {
    if (!isGap(index)) return "“" + spoken(textOf(index), false) + "”";
    const sides = [index - 1, index + 1].filter((at) => at >= 0 && at < places.length);
    const names = sides.map((at) => "“" + spoken(textOf(at), false) + "”");
    return (names.length > 1 ? "between " : index ? "after " : "before ") + names.join(" and ");
  }

  function rest(index) {
    // A given word is no button until somebody goes there: read aloud, the text stays a text.
    if (index >= 0 && !marked.has(index) && chosen[index] === first[index]) setRoles(index, false);
  }

  function comeBackTo(index) {
    if (last >= 0 && last !== index) {
      elements.get(last).tabIndex = -1;
      rest(last);
    }
    setRoles(index, true);
    elements.get(index).tabIndex = 0;
    last = index;
  }

  function list(index, title) {
    const part = document.createDocumentFragment();
    const head = make("div", "head");
    const heading = head.appendChild(make("h3", "", title));
    heading.id = "pop-list-" + index;
    if (places[index][1].some(([, chance]) => chance)) head.append(make("span", "", "share in the search"));
    const box = make("ul");
    box.setAttribute("role", "listbox");
    box.setAttribute("aria-labelledby", heading.id);
    places[index][1].forEach(([text, chance], number) => {
      const option = make("li");
      option.setAttribute("role", "option");
      option.setAttribute("aria-selected", String(number === chosen[index]));
      option.tabIndex = -1;
      option.dataset.place = index;
      option.dataset.option = number;
      const name = spoken(text, isGap(index));
      option.append(make("span", isGap(index) && name === "nothing" ? "what none" : "what", name));
      if (chance) option.append(make("span", "chance", chance));
      box.append(option);
    });
    part.append(head, box);
    return part;
  }

  function showAt(index, hold) {
    clearTimeout(timer);
    if (document.body.classList.contains("clean")) return;
    held = hold;
    if (open !== index) {
      close();
      open = index;
      held = hold;
      comeBackTo(index);
      const el = elements.get(index);
      byId("pop-title").replaceChildren();
      show(byId("pop-title"), textOf(index).trim() ? spoken(textOf(index), isGap(index)) : nameOf(index));
      byId("pop-about").replaceChildren(...places[index][2].map((line) => make("p", "", line)));
      const lists = byId("pop-lists");
      lists.replaceChildren();
      const before = index - 1;
      if (isGap(index)) lists.append(list(index, index === 0 ? "At the start" : index === places.length - 1 ? "At the end" : "Between the words"));
      else {
        if (places[index][1].length > 1) lists.append(list(index, "The word"));
        if (before >= 0 && !reachable(before) && places[before][1].length > 1) lists.append(list(before, "Before it"));
      }
      if (!lists.hasChildNodes()) lists.append(make("p", "", "Nothing else is likely here."));
      pop.hidden = false;
      el.classList.add("open");
      el.setAttribute("aria-expanded", "true");
      el.setAttribute("aria-controls", "pop");
      el.setAttribute("aria-describedby", "pop-about");
      for (const at of isGap(index) ? [index - 1, index + 1] : [index]) sources.get(at)?.classList.add("here");
    }
    putBeside();
    if (hold) keepSeen(index);
  }

  // On a narrow screen the popover lies over the lower part of the text, and must not hide the place that it is about.
  function keepSeen(index) {
    if (!matchMedia("(max-width: 40rem)").matches) return;
    const gap = elements.get(index).getBoundingClientRect().bottom + 12 - pop.getBoundingClientRect().top;
    if (gap > 0) window.scrollBy(0, gap);
  }

  function putBeside() {
    if (open < 0) return;
    const box = elements.get(open).getBoundingClientRect();
    const rects = elements.get(open).querySelector(".c")?.getClientRects() ?? [];
    const rect = rects.length ? rects[rects.length - 1] : box;
    const [width, height] = [pop.offsetWidth, pop.offsetHeight];
    const left = Math.max(12, Math.min(rect.left, document.documentElement.clientWidth - width - 12));
    const below = rect.bottom + 6 + height <= window.innerHeight || rect.top - 6 - height < 0;
    pop.style.left = left + window.scrollX + "px";
    pop.style.top = (below ? rect.bottom + 6 : rect.top - 6 - height) + window.scrollY + "px";
  }

  function close() {
    clearTimeout(timer);
    if (open < 0) return;
    const el = elements.get(open);
    el.classList.remove("open");
    if (el.hasAttribute("role")) el.setAttribute("aria-expanded", "false");
    el.removeAttribute("aria-controls");
    el.removeAttribute("aria-describedby");
    document.querySelectorAll(".here").forEach((other) => other.classList.remove("here"));
    pop.hidden = true;
    open = -1;
    held = false;
  }

  function focusOn(index, silently) {
    comeBackTo(index);
    quiet = silently;
    elements.get(index).focus();
    quiet = false;
  }

  function choose(index, option) {
    const back = open;
    chosen[index] = option;
    const el = elements.get(index);
    fill(el, textOf(index));
    const yours = chosen[index] !== first[index];
    el.classList.toggle("yours", yours);
    if (yours || marked.has(index)) setRoles(index, true);
    else if (index !== last) setRoles(index, false);
    close();
    if (back >= 0) focusOn(reachable(back) ? back : back + 1, true);
    count("Changed to " + spoken(textOf(index), isGap(index)) + ".");
  }

  function count(message) {
    const changed = chosen.filter((option, index) => option !== first[index]).length;
    byId("changed").textContent = String(changed);
    for (const el of document.querySelectorAll(".live")) el.hidden = changed === 0;
    byId("reset").hidden = changed === 0;
    said.textContent = message;
  }

  function step(from, by) {
    let at = indexes.indexOf(from) + by;
    while (at >= 0 && at < indexes.length && !reachable(indexes[at])) at += by;
    if (at >= 0 && at < indexes.length) focusOn(indexes[at], false);
  }

  const placeOf = (target) => {
    const el = target instanceof Element ? target.closest("#article [data-i]") : null;
    if (!el) return -1;
    const index = Number(el.dataset.i);
    return reachable(index) ? index : -1;
  };
  const clean = () => document.body.classList.contains("clean");

  article.addEventListener("pointerover", (event) => {
    const index = placeOf(event.target);
    if (event.pointerType !== "mouse" || event.buttons || index < 0 || held || clean()) return;
    clearTimeout(timer);
    timer = setTimeout(() => showAt(index, false), open < 0 ? 250 : 120);
  });
  const leave = (event) => {
    if (event.pointerType !== "mouse" || held) return;
    clearTimeout(timer);
    timer = setTimeout(close, 300);
  };
  article.addEventListener("pointerout", leave);
  pop.addEventListener("pointerleave", leave);
  pop.addEventListener("pointerenter", () => clearTimeout(timer));

  article.addEventListener("click", (event) => {
    const index = placeOf(event.target);
    if (index < 0 || clean()) return;
    focusOn(index, true);
    showAt(index, true);
  });
  article.addEventListener("focusin", (event) => {
    const index = placeOf(event.target);
    if (index >= 0 && !quiet && !pointing) showAt(index, true);
  });
  article.addEventListener("keydown", (event) => {
    const index = placeOf(event.target);
    if (index < 0 || event.altKey || event.ctrlKey || event.metaKey) return;
    const actions = {
      ArrowRight: () => step(index, 1),
      ArrowLeft: () => step(index, -1),
      ArrowDown: enter, Enter: enter, " ": enter,
    };
    function enter() {
      showAt(index, true);
      const options = [...pop.querySelectorAll("[role=option]")];
      (options.find((option) => option.getAttribute("aria-selected") === "true") ?? options[0])?.focus();
    }
    if (actions[event.key]) {
      event.preventDefault();
      actions[event.key]();
    }
  });
  pop.addEventListener("keydown", (event) => {
    const options = [...pop.querySelectorAll("[role=option]")];
    const at = options.indexOf(document.activeElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: options.length - 1 }[event.key];
    if (to !== undefined) {
      event.preventDefault();
      options[Math.max(0, Math.min(options.length - 1, to))]?.focus();
    } else if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      if (at >= 0) choose(Number(options[at].dataset.place), Number(options[at].dataset.option));
      else closeAndReturn();
    } else if (event.key === "Tab") {
      // Leave from the place, so that Tab goes on from where the reader is.
      closeAndReturn();
    }
  });
  function closeAndReturn() {
    const back = open;
    close();
    if (back >= 0) focusOn(back, true);
  }
  pop.addEventListener("click", (event) => {
    const option = event.target.closest("[role=option]");
    if (option) choose(Number(option.dataset.place), Number(option.dataset.option));
    else if (event.target.closest("#pop-close")) closeAndReturn();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || open < 0) return;
    event.preventDefault();
    if (pop.contains(document.activeElement)) closeAndReturn();
    else close();
  });
  for (const name of ["pointercancel", "click"]) document.addEventListener(name, () => (pointing = false));
  document.addEventListener("keydown", () => (pointing = false), true);
  document.addEventListener("pointerdown", (event) => {
    pointing = placeOf(event.target) >= 0;
    if (pop.contains(event.target)) return;
    clearTimeout(timer); // what is pressed may become a selection, which nothing may lie over
    if (!pointing || !held) close();
  });
  article.addEventListener("focusout", (event) => {
    const to = event.relatedTarget;
    if (to instanceof Node && !pop.contains(to) && !article.contains(to)) close();
  });
  window.addEventListener("resize", putBeside);

  byId("clean").addEventListener("click", (event) => {
    const on = event.currentTarget.getAttribute("aria-pressed") !== "true";
    event.currentTarget.setAttribute("aria-pressed", String(on));
    close();
    document.body.classList.toggle("clean", on);
    byId("next").hidden = on;
    if (on) indexes.forEach((index) => setRoles(index, false));
    else ready();
  });
  byId("beside").addEventListener("click", (event) => {
    const on = event.currentTarget.getAttribute("aria-pressed") !== "true";
    event.currentTarget.setAttribute("aria-pressed", String(on));
    byId("stripped").hidden = !on;
    document.body.classList.toggle("wide", on);
    putBeside();
  });
  let visited = -1;
  const doubtful = indexes.filter((index) => elements.get(index).matches(".l4, .l5, .repair, .warn, .kept"));
  byId("next").addEventListener("click", () => {
    const index = doubtful.find((other) => other > visited) ?? doubtful[0];
    if (index === undefined) {
      said.textContent = "No place is very doubtful.";
      return;
    }
    visited = index;
    elements.get(index).scrollIntoView({ block: "center" });
    focusOn(index, false);
  });
  byId("reset").addEventListener("click", () => {
    for (const index of indexes) {
      if (chosen[index] === first[index]) continue;
      chosen[index] = first[index];
      fill(elements.get(index), textOf(index));
      elements.get(index).classList.remove("yours");
      setRoles(index, marked.has(index) && !clean());
    }
    if (last >= 0 && !reachable(last)) last = -1;
    if (!clean()) ready();
    count("Your choices are undone.");
    byId("copy").focus();
  });
  byId("copy").addEventListener("click", async () => {
    const text = current();
    let done = true;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      // Older browsers, and pages that are not from a secure place: a text field that nobody sees.
      const field = document.body.appendChild(make("textarea", "vh"));
      field.value = text;
      field.select();
      done = document.execCommand("copy");
      field.remove();
      byId("copy").focus();
    }
    said.textContent = done ? "The text is copied." : "The browser did not allow copying.";
  });

  function ready() {
    for (const index of indexes) if (marked.has(index) || chosen[index] !== first[index]) setRoles(index, true);
    const start = last >= 0 ? last : indexes.find((index) => marked.has(index)) ?? indexes.find(reachable);
    if (start !== undefined) comeBackTo(start);
  }

  byId("tools").hidden = false;
  byId("keys").hidden = false;
  byId("unscripted").hidden = true;
  ready();
})();
