// The page itself. STUDY stands above; nothing here knows which clip comes from where.

const byId = (id) => document.getElementById(id);
const LOAD_S = 30;                      // how long clips may take to arrive before the page says so
const random32 = () => crypto.getRandomValues(new Uint32Array(1))[0];
const hex = (word) => word.toString(16).padStart(8, "0");

const seed = random32();
const result = {
  schema: 1,
  study: STUDY.study,
  digest: STUDY.digest,
  participant: hex(random32()) + hex(random32()),
  given: (new URLSearchParams(location.search).get("participant") || "").replace(/[^A-Za-z0-9_-]/g, "").slice(0, 64),
  seed,
  agreed: false,
  started: "",
  finished: "",
  answers: [],
};
const shown = showings(STUDY.trials.length, STUDY.alternatives, STUDY.repeats, seed);
let at = -1;                            // which of them is on the screen
let stage = null;                       // its clips and how far it is
let begun = 0;                          // when, by the page's own clock, in ms
let upcoming = null;                    // clips of the one after it, loading meanwhile

function show(name) {
  for (const each of ["intro", "trial", "end"]) byId(each).hidden = each !== name;
}

function say(text) {
  byId("status").textContent = text;
}

function intro() {
  document.title = STUDY.title;
  byId("title").textContent = STUDY.title;
  byId("task").textContent = STUDY.task;
  byId("consent").textContent = STUDY.consent;
  byId("count").textContent = shown.length;
  const minutes = Math.round((shown.length * (STUDY.seconds + 5)) / 60);
  byId("minutes").textContent = minutes > 1 ? `${minutes} minutes` : "a minute";
  byId("once").textContent = (STUDY.replays ? `You can play each screen again ${STUDY.replays} time(s).`
    : "What you see is shown once, so look closely.") + " You answer when it has disappeared.";
  byId("last-key").textContent = STUDY.alternatives;
  byId("replay-key").hidden = !STUDY.replays;
  byId("agree").addEventListener("change", () => { byId("start").disabled = !byId("agree").checked; });
  byId("start").addEventListener("click", begin);
  show("intro");
}

function begin() {
  result.agreed = true;
  result.started = new Date().toISOString();
  begun = performance.now();
  addEventListener("beforeunload", keep);
  show("trial");
  byId("question").textContent = STUDY.question;
  advance();
}

function keep(event) {
  event.preventDefault();
}

// ---- clips

function clipsOf(index) {
  const { trial, places } = shown[index];
  const { clips, reference } = STUDY.trials[trial];
  const ids = places.map((place) => clips[place]);
  const media = ids.map(loading);
  const beside = reference ? loading(reference) : null;
  return { ids, media, reference: beside, all: beside ? [...media, beside] : media };
}

function loading(id) {
  const media = document.createElement(STUDY.still ? "img" : "video");
  if (!STUDY.still) {
    media.muted = true;
    media.playsInline = true;
    media.preload = "auto";
    media.disablePictureInPicture = true;
    media.disableRemotePlayback = true;
  }
  media.alt = "";
  media.draggable = false;
  media.src = `clips/${id}.${STUDY.still ? "png" : "mp4"}`;
  if (!STUDY.still) media.load();
  return media;
}

function loaded(media) {
  if (STUDY.still) return media.decode();
  return new Promise((resolve, reject) => {
    if (media.readyState >= 4) resolve();
    media.addEventListener("canplaythrough", resolve, { once: true });
    media.addEventListener("error", reject, { once: true });
    if (media.error) reject(media.error);
    setTimeout(() => (media.readyState >= 2 ? resolve() : reject(new Error("too slow"))), LOAD_S * 1000);
  });
}

// Fails when the time is up.
function after(seconds) {
  return new Promise((_, reject) => setTimeout(() => reject(new Error("too slow")), seconds * 1000));
}

function tile(media, name, input) {
  const box = document.createElement(input ? "label" : "div");
  box.className = "tile blank";
  const label = document.createElement("span");
  label.className = "name";
  label.textContent = name;
  box.append(...(input ? [input, media, label] : [media, label]));
  return box;
}

function choice(place) {
  const input = document.createElement("input");
  input.type = "radio";
  input.name = "choice";
  input.value = place;
  input.disabled = true;
  input.setAttribute("aria-label", `Number ${place + 1}`);
  input.addEventListener("change", () => choose(place));
  return input;
}

// ---- one trial

async function advance() {
  at += 1;
  stage = { ...(upcoming || clipsOf(at)), chosen: -1, showing: false, seen: false, showings: 0, restarts: 0,
    shownMs: 0, askedAt: 0, by: "pointer" };
  const mine = stage;
  mine.tiles = mine.media.map((media, place) => tile(media, place + 1, choice(place)));
  byId("grid").replaceChildren(...mine.tiles);
  byId("reference").replaceChildren(...(mine.reference ? [tile(mine.reference, "Real", null)] : []));
  byId("where").textContent = `${at + 1} of ${shown.length}`;
  byId("progress").value = at / shown.length;
  byId("next").textContent = at + 1 < shown.length ? "Next" : "Finish";
  byId("next").disabled = true;
  byId("replay").hidden = true;
  byId("question").focus();
  await arrive(mine);
}

async function arrive(mine) {
  say("Loading…");
  try {
    await Promise.all(mine.all.map(loaded));
  } catch {
    return offer("A clip did not arrive. Check your connection, then try again.", "Try again", () => {
      for (const media of mine.all) media.src = media.getAttribute("src");
      arrive(mine);
    });
  }
  upcoming = at + 1 < shown.length ? clipsOf(at + 1) : null;
  await present(mine);
}

function offer(text, label, action) {
  say(text);
  const button = byId("replay");
  button.textContent = label;
  button.hidden = false;
  button.onclick = action;
}

async function present(mine) {
  byId("replay").hidden = true;
  if (document.hidden) return offer("Ready when you are.", "Play", () => present(mine));
  mine.showing = true;
  enable(mine, false);
  say(mine.reference ? "Watch. “Real” is the true recording." : "Watch.");
  blank(false);
  try {
    const endings = STUDY.still ? []
      : mine.all.map((media) => new Promise((done) => media.addEventListener("ended", done, { once: true })));
    const began = performance.now();    // not when play() answers: on a busy machine that is long after the beginning
    if (!STUDY.still) {
      for (const media of mine.all) media.currentTime = 0;
      await Promise.all(mine.all.map((media) => media.play()));
    }
    const run = (mine.run = (mine.run || 0) + 1);
    // Browsers call a clip ended when its last frame appears; that one is to be seen for its time as well.
    endings.push(new Promise((done) => setTimeout(done, STUDY.seconds * 1000 - (performance.now() - began))));
    await Promise.race([Promise.all(endings), after(STUDY.seconds + LOAD_S)]);
    if (mine !== stage || !mine.showing || run !== mine.run) return;
    mine.shownMs = Math.round(performance.now() - began);
  } catch {                             // the browser wants a tap first, or a clip got stuck
    if (mine === stage && mine.showing) interrupt("Ready when you are.");
    return;
  }
  mine.showing = false;
  mine.seen = true;
  mine.showings += 1;
  blank(true);
  ask(mine);
}

function blank(yes) {
  for (const each of document.querySelectorAll(".tile")) each.classList.toggle("blank", yes);
}

function interrupt(text) {
  stage.showing = false;
  stage.run = (stage.run || 0) + 1;
  if (!STUDY.still) for (const media of stage.all) media.pause();
  blank(true);
  offer(text, "Play", () => present(stage));
}

function ask(mine) {
  mine.askedAt = mine.askedAt || performance.now();
  enable(mine, true);
  const left = STUDY.replays - (mine.showings - 1);
  if (left > 0) offer("Choose one.", `Play again (${left})`, () => present(mine));
  else say(`Choose one: 1 to ${STUDY.alternatives}.`);
}

function enable(mine, yes) {
  for (const each of mine.tiles) each.firstChild.disabled = !yes;
  byId("next").disabled = !yes || mine.chosen < 0;
}

function choose(place, by) {
  if (!stage || !stage.seen || stage.showing) return;
  stage.chosen = place;
  stage.by = by || stage.lastInput || "pointer";
  stage.tiles.forEach((each, k) => {
    each.classList.toggle("chosen", k === place);
    each.firstChild.checked = k === place;
  });
  byId("next").disabled = false;
  say(`${place + 1} chosen.`);
}

function answer() {
  if (!stage || stage.chosen < 0 || stage.showing) return;
  const { trial, again } = shown[at];
  result.answers.push({
    trial: STUDY.trials[trial].id,
    again,
    order: stage.ids,
    chosen: stage.ids[stage.chosen],
    shown_ms: stage.shownMs,
    answer_ms: Math.round(performance.now() - stage.askedAt),
    showings: stage.showings,
    restarts: stage.restarts,
    dropped: STUDY.still ? 0 : Math.max(...stage.media.map(dropped)),
    by: stage.by,
  });
  if (at + 1 < shown.length) advance();
  else end();
}

// How many of a clip's frames came too late to be seen, in percent.
function dropped(media) {
  const quality = media.getVideoPlaybackQuality ? media.getVideoPlaybackQuality() : { totalVideoFrames: 0 };
  return quality.totalVideoFrames ? Math.round((100 * quality.droppedVideoFrames) / quality.totalVideoFrames) : 0;
}

function fit() {
  const aspect = STUDY.width / STUDY.height;
  const box = byId("choices").getBoundingClientRect();
  const gap = 8;
  const beside = stage && stage.reference;
  const upright = innerHeight > innerWidth;
  const count = STUDY.alternatives;
  const room = { width: box.width - gap, height: box.height - gap };
  let best = { side: 0, columns: 1 };
  for (let share = beside ? 1 : 0; share <= (beside ? 3 : 0); share++) {    // rows or columns' worth of room for it
    const part = beside ? share / (share + 2) : 0;
    const width = room.width * (upright ? 1 : 1 - part);
    const height = room.height * (upright ? 1 - part : 1);
    const columns = columnsFor(count, aspect, width, height);
    const rows = Math.ceil(count / columns);
    let side = Math.min((width - gap * columns) / columns, ((height - gap * rows) / rows) * aspect);
    if (beside) side = Math.min(side, upright ? room.height * part * aspect - gap : room.width * part - gap);
    if (side > best.side) best = { side, columns };
  }
  const style = byId("choices").style;
  style.setProperty("--aspect", aspect);
  style.setProperty("--columns", best.columns);
  style.setProperty("--side", `${Math.max(40, Math.floor(best.side))}px`);
}

// ---- the end

async function end() {
  stage = null;
  // Counted from the start by a clock that nobody sets meanwhile.
  result.finished = new Date(Date.parse(result.started) + performance.now() - begun).toISOString();
  const text = JSON.stringify(sealed(result));
  show("end");
  byId("thanks").focus();
  const link = byId("download");
  link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  link.download = `answers-${STUDY.study}-${result.participant}.json`;
  link.addEventListener("click", () => removeEventListener("beforeunload", keep));
  byId("text").value = text;
  if (await posted(text)) {
    removeEventListener("beforeunload", keep);
    byId("sent").textContent = "Your answers have arrived. You can close this page.";
  } else {
    byId("sent").textContent = (STUDY.post ? "Your answers could not be sent. " : "")
      + "Your answers are saved as a file: please hand it to whoever invited you.";
    link.click();
  }
}

async function posted(text) {
  if (!STUDY.post) return false;
  try {                                 // plain text, so that no permission is asked for first (CORS)
    const reply = await fetch(STUDY.post, { method: "POST", body: text, credentials: "omit" });
    return reply.ok;
  } catch {
    return false;
  }
}

// ---- what people do

addEventListener("keydown", (event) => {
  if (byId("trial").hidden || event.ctrlKey || event.metaKey || event.altKey) return;
  stage.lastInput = "keyboard";
  const place = Number.parseInt(event.key, 10) - 1;
  if (place >= 0 && place < STUDY.alternatives) choose(place, "keyboard");
  else if (event.key === "Enter" && event.target.tagName !== "BUTTON") answer();
  else if (event.key.toLowerCase() === "r" && !byId("replay").hidden) byId("replay").click();
});
addEventListener("pointerdown", () => { if (stage) stage.lastInput = "pointer"; });
new ResizeObserver(() => { if (stage) fit(); }).observe(byId("choices"));
document.addEventListener("visibilitychange", () => {
  if (!document.hidden || !stage || !stage.showing) return;
  stage.restarts += 1;
  interrupt("You were away while it played. It begins again.");
});
byId("next").addEventListener("click", answer);
intro();
