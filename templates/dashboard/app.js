// Everything works without this. It keeps times counting, follows what happens, filters while one
// types, and does what a button says without leaving the page. What it shows was rendered by the
// server: it puts fresh pieces in the place of old ones, cell by cell.
(() => {
'use strict';
const one = (what, at = document) => at.querySelector(what);
const all = (what, at = document) => [...at.querySelectorAll(what)];
const body = document.body, lang = document.documentElement.lang;
const [ago, lasts, opens, cutSince, noAnswer, copyWord, copiedWord, logEnds, crowdedSince, justNow] = body.dataset.words.split('|');
const [second, minute, hour, day] = body.dataset.units.split('|');
const skew = body.dataset.now - Date.now();
const now = () => Date.now() + skew;

// What was said once is not said again by Back, a reload or a bookmark.
const here = new URL(location.href);
const keep = () => history.replaceState(history.state, '', here);
if (here.searchParams.has('said')) { here.searchParams.delete('said'); here.searchParams.delete('of'); keep(); }

// Times, by the rules of src/html/dashboard/format.rs.
const units = (ms) => {
  const s = Math.max(0, Math.floor(ms / 1000)), m = Math.floor(s / 60), h = Math.floor(m / 60), d = Math.floor(h / 24);
  if (m < 1) return [[s, second]];
  if (h < 1) return [[m, minute], [s % 60, second]];
  if (d < 1) return [[h, hour], [m % 60, minute]];
  return [[d, day], [h % 24, hour]];
};
const words = (list) => list.filter(([n], at) => n || !at).map(([n, unit]) => `${n}\u00a0${unit}`).join(' ');
const offset = -60 * new Date().getTimezoneOffset();
const moved = +body.dataset.offset !== offset;
const tongue = lang === 'en' ? 'en-GB' : lang;
const exact = new Intl.DateTimeFormat(tongue, { dateStyle: 'medium', timeStyle: 'medium' });
const short = new Intl.DateTimeFormat(tongue, { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
const clock = new Intl.DateTimeFormat(tongue, { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' });
document.cookie = `wakedock_tz=${offset};path=/;max-age=31536000;samesite=lax`;
const tell = (time) => {
  const kind = time.dataset.t, at = time.at ??= Date.parse(time.dateTime);
  let text;
  if (kind === 'until') text = words(units(at - now()));
  else if (kind === 'at') { if (!moved) return; text = short.format(at); }
  else if (kind === 'clock') { if (!moved) return; text = clock.format(at); }
  else if (now() - at < 1000) text = justNow;
  else text = (kind === 'ago' ? ago : lasts).replace('{}', words(units(now() - at).slice(0, 1)));
  if (time.textContent !== text) time.textContent = text;
};
// What the server has just written is right. Of many times most are old, and change once a minute.
let ticks = 0;
const tick = () => {
  const every = ++ticks % 15 === 0, young = now() - 90000;
  for (const time of all('time[data-t]')) if (every || !(time.at < young) || time.dataset.t === 'until') tell(time);
};
setInterval(() => document.hidden || tick(), 1000);
if (moved) all('time[data-t=at], time[data-t=clock]').forEach(tell);
document.addEventListener('pointerover', ({ target }) => {
  if (target.dateTime && !target.title) target.title = exact.format(Date.parse(target.dateTime));
  if (target.matches('.host') && !target.title) target.title = opens;
});

// Puts what is new into an element that stays: who listens to it goes on listening, and what has
// the focus or the finger on it keeps them.
const take = (old, fresh) => {
  if (!old || !fresh) return;
  for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name) && name !== 'hidden') old.removeAttribute(name);
  const cells = old.matches('tr') && old.children.length === fresh.children.length;
  if (cells) return [...old.children].forEach((cell, at) => take(cell, fresh.children[at]));
  all('time[data-t]', fresh).forEach(tell);
  if (old.innerHTML === fresh.innerHTML) return;
  const held = old.contains(document.activeElement) && document.activeElement;
  const mark = held && ['formaction', 'href', 'id', 'name'].find((name) => held.getAttribute(name));
  const value = mark && held.getAttribute(mark);
  old.replaceChildren(...fresh.childNodes);
  if (held) (all(`[${mark}]`, old).find((element) => element.getAttribute(mark) === value) || one('a,button', old) || one('#main')).focus();
};
let pressed = false, waiting = [];
const settled = (work) => pressed ? waiting.push(work) : work();
addEventListener('pointerdown', () => { pressed = true; }, true);
for (const end of ['pointerup', 'pointercancel']) addEventListener(end, () => setTimeout(() => {
  pressed = false;
  waiting.splice(0).forEach((work) => work());
}), true);

const load = async (address, options) => {
  const answer = await fetch(address, { headers: { Accept: 'text/html' }, cache: 'no-store', ...options });
  // Logged out meanwhile: the page says so better.
  if (answer.status === 401 || new URL(answer.url).pathname === '/login') return location.reload();
  if (answer.status >= 500) throw new Error(answer.status);
  const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
  // A page that says no: not allowed, not found, changed meanwhile.
  if (answer.status >= 400 && one('.empty h1', page)) throw Object.assign(new Error(answer.status), { page });
  return page;
};
const put = (page) => settled(() => {
  if (!page) return;
  const said = one('#toast .said, body > .said', page);
  if (said) say(said);
  // What is read stays where it is when something new comes above it.
  const read = scrollY > 0 && all('#feed tr[id]').find((row) => row.getBoundingClientRect().top >= 0), was = read && read.getBoundingClientRect().top;
  for (const element of all('[data-live]')) if (element.id) take(element, page.getElementById(element.id));
  const now = read && document.getElementById(read.id);
  if (now) scrollBy({ top: now.getBoundingClientRect().top - was, behavior: 'instant' });
  const rows = all('tr.svc', page), known = all('tr.svc');
  if (one('table.svcs', page) && (rows.length !== known.length || rows.some((row) => !document.getElementById(row.id)))) {
    const table = one('table.svcs');
    all('tbody', table).forEach((part) => part.remove());
    table.append(...all('table.svcs tbody', page));
    filter();
    return;
  }
  // Of many rows some at a time: in between, who looks at the page has a say.
  const some = () => {
    for (const row of rows.splice(0, 60)) take(document.getElementById(row.id), row);
    if (rows.length) setTimeout(some);
  };
  some();
});

// What became of a click.
let fading;
const say = (what) => {
  const toast = one('#toast');
  toast.replaceChildren(what);
  clearTimeout(fading);
  if (!what.classList.contains('bad')) fading = setTimeout(() => toast.replaceChildren(), 7000);
};
one('#toast')?.addEventListener('click', () => one('#toast').replaceChildren());
const complain = (text) => {
  const line = document.createElement('p');
  line.className = 'said bad';
  line.textContent = text;
  say(line);
};

// What happens.
const kinds = ['phase', 'wake-started', 'wake-ended', 'stopped', 'kept-awake', 'problem', 'problem-mended', 'service-added', 'service-changed',
  'service-removed', 'published', 'config-applied', 'config-rejected', 'engine', 'store', 'started', 'draining'];
const list = one('table.svcs'), service = one('[data-service]');
let source, lost = 0, crowded = false, stale = new Set(), due = 0, asking = false, whole, parked, again, gone;
const told = (text) => {
  const line = document.createElement('p');
  line.className = 'said old';
  line.textContent = text;
  one('#cut').replaceChildren(line);
};
const cut = () => {
  if (lost) return;
  lost = Date.now();
  crowded = false;
  body.classList.add('cut');
  told(cutSince.replace('{}', clock.format(lost)));
};
const back = () => {
  if (!lost) return;
  lost = 0;
  body.classList.remove('cut');
  one('#cut').replaceChildren();
};
// WakeDock answers, and has no stream to spare for one page more: this one asks by the clock.
const crowd = () => {
  back();
  if (!crowded) told(crowdedSince);
  crowded = true;
};
const refresh = async (address) => {
  try { put(await load(address)); back(); } catch ({ page }) {
    if (!page) return cut();
    // What was shown here is gone: the page that says so takes its place.
    source?.close();
    clearTimeout(again);
    gone = true;
    one('#main').replaceChildren(...one('#main', page).childNodes);
    back();
  }
};
// A steady stream of news does not put it off.
const page = () => { whole ||= setTimeout(async () => { await refresh(location.href); whole = 0; }, 300); };
// One request at a time, so that no answer comes after a newer one; what happens meanwhile is asked for
// with the next, which a steady stream of news does not put off.
const soon = () => { if (stale.size && !asking) due ||= setTimeout(rows, 60); };
const rows = async () => {
  due = 0;
  const some = [...stale].slice(0, 60);
  asking = some.length > 0;
  if (!asking) return;
  for (const name of some) stale.delete(name);
  await refresh(`/fragments/services?${new URLSearchParams(some.map((name) => ['name', name]))}`);
  asking = false;
  soon();
};
const heard = ({ data }) => {
  let news;
  try { news = JSON.parse(data); } catch { return; }
  body.dataset.after = news.id;
  if (list && news.service && document.getElementById(`s-${news.service}`) && !/^service-(added|removed)$/.test(news.kind)) {
    stale.add(news.service);
    soon();
  } else if (!service || !news.service || news.service === service.dataset.service) page();
};
const events = () => `/api/v1/events?after=${body.dataset.after}`;
const listen = () => {
  clearTimeout(again);
  source?.close();
  if (parked) return;
  source = new EventSource(events());
  source.onopen = () => {
    if (lost || crowded) page();
    if (crowded) { crowded = false; one('#cut').replaceChildren(); }
  };
  for (const kind of kinds) source.addEventListener(kind, heard);
  source.addEventListener('end', ({ data }) => {
    const { why } = JSON.parse(data);
    if (why === 'log-in') return location.reload();
    if (why !== 'too-many') return cut();
    // A newer page has the stream: to take it back would only send that one away.
    source.close();
    crowd();
  });
  source.onerror = () => { if (source.readyState === 2) refused(); else cut(); };
};
// A browser does not say why there is no stream.
const refused = async () => {
  let status = 0;
  try {
    const ended = new AbortController(), answer = await fetch(events(), { cache: 'no-store', signal: ended.signal });
    status = answer.status;
    ended.abort();
  } catch { /* Nobody answers. */ }
  if (parked) return;
  if (status === 401) return location.reload();
  if (status === 429) crowd(); else if (status !== 200) cut();
  again = setTimeout(listen, status === 429 ? 10000 : status === 200 ? 1000 : 3000);
};
// What changes without an event: who uses it, how much memory it takes.
const look = () => {
  if (document.hidden || parked || gone) return;
  if (lost || crowded) return void refresh(location.href);
  if (!list) return void (service && page());
  for (const row of all('tr.svc:not([data-phase=asleep])').slice(0, 60)) if (!row.hidden) stale.add(row.id.slice(2));
  soon();
};
if (body.dataset.after) {
  listen();
  setInterval(look, 10000);
  // A browser has few connections: a page that nobody sees gives its own back.
  let away;
  document.addEventListener('visibilitychange', () => {
    clearTimeout(away);
    if (document.hidden) away = setTimeout(() => { parked = true; clearTimeout(again); source.close(); }, 1000);
    else if (parked) { parked = false; listen(); page(); }
  });
  addEventListener('focus', () => { if (crowded) listen(); });
}

// Buttons.
const menu = one('#keep');
document.addEventListener('click', (event) => {
  const opener = event.target.closest('.keeper');
  if (!opener || !menu?.showPopover) return;
  event.preventDefault();
  for (const button of all('button', menu)) button.setAttribute('formaction', opener.pathname + '/keep-awake');
  menu.showPopover();
  const at = opener.getBoundingClientRect(), own = menu.getBoundingClientRect();
  menu.style.left = `${Math.max(8, Math.min(at.right - own.width, innerWidth - own.width - 8))}px`;
  menu.style.top = `${at.bottom + own.height + 8 > innerHeight ? at.top - own.height - 4 : at.bottom + 4}px`;
  one('button', menu).focus();
});
document.addEventListener('submit', async (event) => {
  const form = event.target, button = event.submitter;
  if (form.dataset.ask && !confirm(form.dataset.ask)) return event.preventDefault();
  if (!['act', 'keeps'].includes(form.id)) return;
  event.preventDefault();
  const address = button?.getAttribute('formaction') || form.getAttribute('action');
  const sent = new URLSearchParams(new FormData(form, button));
  if (list) sent.set('back', `/fragments/services?name=${address.split('/')[2]}`);
  button?.setAttribute('aria-busy', 'true');
  if (menu?.matches(':popover-open')) menu.hidePopover();
  try { put(await load(address, { method: 'POST', body: sent })); } catch ({ page }) { complain(page ? `${one('.empty h1', page).textContent}. ${one('.empty p', page).textContent}` : noAnswer); }
  button?.removeAttribute('aria-busy');
});

// The filter.
const field = one('#q');
const filter = () => {
  if (!field || !list) return;
  const wanted = field.value.trim().toLowerCase();
  let shown = 0;
  for (const part of all('tbody', list)) {
    const heading = one('.group', part), group = heading ? heading.textContent.toLowerCase() : '';
    let here = 0;
    for (const row of all('.svc', part)) {
      row.hidden = !(one('.who', row).textContent + (row.dataset.group || '')).toLowerCase().concat(group).includes(wanted);
      here += !row.hidden;
    }
    if (heading) heading.hidden = !here;
    shown += here;
  }
  one('#nothing').hidden = shown > 0;
};
// Sorting, a reload and Back keep what is typed.
const remember = () => {
  const addresses = [here, ...all('thead a', list)];
  for (const of of addresses) {
    const to = new URL(of.href);
    if (field.value) to.searchParams.set('q', field.value); else to.searchParams.delete('q');
    of.href = to.href;
  }
  keep();
};
if (field && list) {
  field.addEventListener('input', () => { filter(); remember(); });
  field.form.addEventListener('submit', (event) => event.preventDefault());
  if (field.value) filter();
  addEventListener('keydown', (event) => {
    if (event.key === 'Escape' && document.activeElement === field) { field.value = ''; filter(); remember(); field.blur(); }
    if (event.key !== '/' || event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement.tagName)) return;
    event.preventDefault();
    field.select();
  });
}

// A form that shows what it says in YAML while one fills it in.
for (const form of all('form[data-preview]')) {
  let soon;
  // What it shows is shown anyway.
  for (const button of all('[name=preview]', form)) button.hidden = true;
  form.addEventListener('input', () => {
    clearTimeout(soon);
    soon = setTimeout(async () => {
      const sent = new URLSearchParams(new FormData(form));
      sent.set('preview', '1');
      try { const fresh = await load(form.action, { method: 'POST', body: sent }); take(one('#same'), one('#same', fresh)); copies(); } catch { /* The button says it. */ }
    }, 350);
  });
}

// The log, as it is written.
const log = one('#log');
let tail;
const follow = async () => {
  try {
    tail = new AbortController();
    const answer = await fetch(log.dataset.tail, { headers: { Accept: 'text/plain' }, signal: tail.signal });
    if (!answer.ok) return;
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    one('#log-say').hidden = true;
    for (let first = true; ; first = false) {
      const { value, done } = await reader.read();
      if (done) break;
      const bottom = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
      // Appended: a selection stays, and nothing is read out twice.
      if (first) log.replaceChildren();
      log.append(value.replace(/\x1b\[[\d;]*[A-Za-z]/g, ''));
      while (log.childNodes.length > 2000) log.firstChild.remove();
      if (bottom || first) log.scrollTop = log.scrollHeight;
    }
    one('#log-say').textContent = logEnds;
    one('#log-say').hidden = false;
  } catch { /* Tried again. */ }
};
if (log) {
  // A browser has six connections for all its pages.
  document.addEventListener('visibilitychange', () => { if (document.hidden) tail?.abort(); });
  log.scrollTop = log.scrollHeight;
  (async () => {
    for (;;) {
      if (!document.hidden && !/asleep|failed/.test(one('#now').dataset.phase)) await follow();
      await new Promise((done) => setTimeout(done, 2000));
    }
  })();
}

// Copying works where the browser lets a page do so.
const copies = () => {
  for (const place of navigator.clipboard ? all('.copy') : []) {
    if (one('button', place)) continue;
    const button = document.createElement('button');
    button.type = 'button';
    button.className = 'quiet';
    button.textContent = copyWord;
    button.onclick = async () => {
      await navigator.clipboard.writeText(place.firstElementChild.textContent);
      button.textContent = copiedWord;
      setTimeout(() => { button.textContent = copyWord; }, 2000);
    };
    place.append(button);
  }
};
copies();
})();
