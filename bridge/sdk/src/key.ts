const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/**
 * A new idempotency key: 48 bits of time and 80 of chance in Crockford's base 32, as a ULID, so that keys
 * sort by age in logs. The server answers a repeated key as it answered the first.
 */
export function createKey(): string {
  let time = Date.now();
  let head = "";
  for (let digit = 0; digit < 10; digit++) {
    head = alphabet.charAt(time % 32) + head;
    time = Math.floor(time / 32);
  }
  let tail = "";
  for (const byte of crypto.getRandomValues(new Uint8Array(16))) {
    tail += alphabet.charAt(byte % 32);
  }
  return head + tail;
}
