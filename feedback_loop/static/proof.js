// Proof of work in altcha's format, loaded only where a page asks for it: finds the number whose SHA-256 together with the
// salt is the challenge, while the person types. Plain arithmetic, as crypto.subtle is missing on http and is no faster
// for many short texts. Without this script the answer waits until a person has looked at it.
(function () {
  "use strict";
  var field = document.querySelector("input[name=altcha][data-challenge]");
  if (!field || !window.btoa || !window.TextEncoder) return;
  var form = field.form, asked = JSON.parse(field.dataset.challenge), send = form.querySelector("#send");
  var K = [], START = [], words = new Uint32Array(64), waits = false, next = 0;

  // The fractions of the roots of the first primes, as the standard says.
  function fraction(x) { return ((x - Math.floor(x)) * 4294967296) | 0; }
  for (var n = 2; K.length < 64; n++) {
    var prime = true;
    for (var d = 2; d * d <= n; d++) if (n % d === 0) { prime = false; break; }
    if (!prime) continue;
    if (START.length < 8) START.push(fraction(Math.sqrt(n)));
    K.push(fraction(Math.cbrt(n)));
  }

  function block(state, bytes, at) {
    var i, w = words;
    for (i = 0; i < 16; i++, at += 4) {
      w[i] = (bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3];
    }
    for (i = 16; i < 64; i++) {
      var x = w[i - 15], y = w[i - 2];
      w[i] = w[i - 16] + w[i - 7] + (((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3)) +
        (((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10));
    }
    var a = state[0], b = state[1], c = state[2], e = state[4], f = state[5], g = state[6], h = state[7], dd = state[3];
    for (i = 0; i < 64; i++) {
      var t = (h + (((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7))) +
        ((e & f) ^ (~e & g)) + K[i] + w[i]) | 0;
      var u = ((((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10))) +
        ((a & b) ^ (a & c) ^ (b & c))) | 0;
      h = g; g = f; f = e; e = (dd + t) | 0; dd = c; c = b; b = a; a = (t + u) | 0;
    }
    [a, b, c, dd, e, f, g, h].forEach(function (value, i) { state[i] = (state[i] + value) | 0; });
  }

  var salt = new TextEncoder().encode(asked.salt), whole = salt.length - salt.length % 64;
  var middle = START.slice(), rest = salt.length - whole, last = new Uint8Array(128);
  for (var at = 0; at < whole; at += 64) block(middle, salt, at);
  var wanted = asked.challenge.match(/.{8}/g).map(function (part) { return parseInt(part, 16) | 0; });

  function fits(number) {
    var digits = String(number), length = rest + digits.length, size = length + 9 > 64 ? 128 : 64, i;
    last.fill(0);
    last.set(salt.subarray(whole));
    for (i = 0; i < digits.length; i++) last[rest + i] = digits.charCodeAt(i);
    last[length] = 128;
    var bits = (whole + length) * 8;
    for (i = 1; i <= 4; i++) { last[size - i] = bits & 255; bits >>>= 8; }
    var state = middle.slice();
    for (i = 0; i < size; i += 64) block(state, last, i);
    return state.every(function (value, i) { return value === wanted[i]; });
  }

  function work() {
    var end = performance.now() + 12; // milliseconds at a time: typing stays smooth
    while (next <= asked.maxNumber) {
      if (fits(next)) return done(next);
      next++;
      if (next % 50 === 0 && performance.now() > end) return void setTimeout(work, 0);
    }
  }

  function done(number) {
    field.value = btoa(JSON.stringify({
      algorithm: asked.algorithm, challenge: asked.challenge, number: number, salt: asked.salt, signature: asked.signature
    }));
    if (waits) { send.disabled = false; form.submit(); }
  }

  form.addEventListener("submit", function (event) {
    if (field.value) return;
    event.preventDefault();
    if (waits) return;
    waits = true;
    send.disabled = true;
    send.textContent = field.dataset.wait;
  });
  work();
})();
