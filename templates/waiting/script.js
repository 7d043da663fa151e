// The page can do without: it follows the service's phase and loads itself again when that is
// ready. All it knows and says stands in the data attributes of <main>.
(() => {
const $ = (id) => document.getElementById(id);
const main = $('main'), data = main.dataset, bar = $('bar');
const now = () => performance.now();
const say = (id, text) => { const at = $(id); if (at && at.textContent !== text) at.textContent = text; };
const show = (id, visible) => { if ($(id)) $(id).hidden = !visible; };
const [sec, min] = data.units.split('|');
const format = (ms) => {
  const s = ms / 1000 | 0;
  return (s < 60 ? '' : (s / 60 | 0) + min) + s % 60 + sec;
};
let phase = data.step || data.phase, source, cuts = 0, heard = now(), leaving = false;
let usual = +data.usual || 0, began = now() - (+data.elapsed || 0);
const retry = now() + (+data.wait || 0);

// Loads the same address again, each time in a row a little later. False where it gives up.
const reload = (most) => {
  if (leaving) return true;
  let past = [], wait = 2000;
  try {
    const key = 'wakedock-reloads';
    past = JSON.parse(sessionStorage.getItem(key) || '[]').filter((at) => Date.now() - at < 60000);
    if (past.length >= most) return false;
    sessionStorage.setItem(key, JSON.stringify([...past, Date.now()]));
    wait = Math.min(past.length * 1000, 10000);
  } catch { if (most < 9) return false; }
  leaving = true;
  source.close();
  setTimeout(() => location.reload(), wait);
  return true;
};

const enter = (next) => {
  if (next === 'ready') return reload(Infinity);
  // A page that loads itself after each failure would wake the service for ever.
  if (next === 'failed' && reload(3)) return;
  if (next === 'asleep') return setTimeout(() => phase === next && reload(Infinity), 2000);
  if (!data[next]) return;
  if (next === 'failed') source.close();
  const [word, what] = data[next].split('|');
  say('word', word);
  say('what', what);
  data.phase = next === 'probing' ? 'waking' : next;
  show('time', data.phase === 'waking');
  show('retry', next === 'failed');
};

const tick = () => {
  if (data.phase === 'failed') {
    const left = retry - now();
    return say('wait', left > 0 ? data.in.replace('{}', format(left + 999)) : '');
  }
  const elapsed = now() - began;
  say('elapsed', format(elapsed));
  if (usual) {
    if (elapsed > usual) say('usual', data.late);
    // Four fifths at the usual time; then ever slower, and never full.
    const share = elapsed / usual;
    if (bar) bar.value = 1000 * (share < 1 ? 0.8 * share : 1 - 0.2 / share ** 0.5);
  }
  if (now() - heard > 30000 && !leaving) { source.close(); listen(); }
};

const listen = () => {
  heard = now();
  source = new EventSource('/.wakedock/events?path=' + encodeURIComponent(location.pathname));
  source.onopen = () => show('note', false);
  source.addEventListener('phase', (event) => {
    heard = now();
    cuts = 0;
    let news;
    try { news = JSON.parse(event.data); } catch { return; }
    began = now() - (news.elapsed_ms || 0);
    usual = news.usual_ms || usual;
    const next = news.step === 'probing' ? 'probing' : news.phase;
    if (next === phase || (!news.step && next === data.phase)) return;
    phase = next;
    enter(next);
  });
  source.onerror = () => {
    if (leaving) return;
    if ($('note').hidden) say('note', data.lost.replace('{}', new Date().toLocaleTimeString(document.documentElement.lang)));
    show('note', true);
    if (source.readyState !== 2) return;
    if (++cuts < 4) setTimeout(listen, 3000);
    else reload(Infinity);
  };
};

// The link would lose the fragment.
$('retry').firstElementChild.onclick = () => { location.reload(); return false; };
if (phase !== 'failed') listen();
setInterval(tick, 1000);
tick();
window.onpageshow = (event) => { if (event.persisted) location.reload(); };
})();
