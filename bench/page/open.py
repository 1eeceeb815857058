#!/usr/bin/env python3
"""How long a browser takes for the live page of 1,000 users and 1,000 rounds: open.py BUILD_FOLDER, with Debian's chromium.

Serves it from the test that says what it costs the coordinator, with the files of all rounds, and opens its views in a
headless Chromium of 1300 x 1000 pixels. Prints when the first pixels are painted and when the view is complete, both from
the begin of the navigation, what comes over the network until then, and what drawing it anew takes, which happens once a
second and whenever something has changed."""
import os
import pathlib
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests"))
import browser  # noqa: E402

VIEWS = [("the fleet", "", "document.querySelectorAll('.map circle').length === 1000 && document.querySelector('.chart polyline')"),
         ("all rounds", "rounds", "document.querySelectorAll('tbody tr').length === 25"),
         ("a round", "rounds/1000", "document.querySelectorAll('.gantt svg').length === 25"),
         ("a user", "users/u7", "document.querySelectorAll('tbody tr').length > 0")]
TIMES = """(() => {
  const paint = performance.getEntriesByName('first-contentful-paint')[0];
  const bytes = performance.getEntriesByType('resource').concat(performance.getEntriesByType('navigation'))
    .reduce((sum, entry) => sum + entry.transferSize, 0);
  return [paint ? paint.startTime : null, bytes, performance.now()];
})()"""
# A draw is what the page does when its window has another size.
DRAW = """new Promise((done) => {
  let begun;
  const longest = new PerformanceObserver((list) => { for (const entry of list.getEntries()) times.push(entry.duration); });
  const times = [];
  longest.observe({ type: 'longtask' });
  const again = (left) => {
    if (!left) return setTimeout(() => done(times.length ? Math.max(...times) : 0), 300);
    dispatchEvent(new Event('resize'));
    setTimeout(() => again(left - 1), 700);
  };
  again(5);
})"""


def main():
    with tempfile.TemporaryDirectory() as folder:
        address = pathlib.Path(folder) / "address"
        server = subprocess.Popen([pathlib.Path(sys.argv[1]) / "bin/dashf_live_test", "--gtest_filter=Page.OfA*"],
                                  env={**os.environ, "DASHF_HOLD_PAGE": str(address)}, stdout=subprocess.DEVNULL)
        while not address.exists():
            if server.poll() is not None:
                sys.exit("the server has ended")
            time.sleep(0.2)
        url = address.read_text()
        try:
            for turn in ("cold", "warm"):
                for name, path, complete in VIEWS:
                    eye = browser.Browser()
                    eye.go(url + path)
                    eye.until(f"document.readyState === 'complete' && !!({complete})", name)
                    paint, size, done = eye.value(TIMES)
                    draw = eye.value(DRAW)
                    print(f"{turn} {name}: first paint {paint:.0f} ms, complete {done:.0f} ms, {size / 1e6:.2f} MB; "
                          f"the longest of five draws {draw:.0f} ms", flush=True)
                    if len(sys.argv) > 2:
                        eye.picture(f"{sys.argv[2]}/{turn}-{name.replace(' ', '-')}.png", whole=True)
                    eye.close()
        finally:
            address.unlink(missing_ok=True)
            server.wait()


if __name__ == "__main__":
    main()
