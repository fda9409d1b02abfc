/**
 * ZIP archives of files that are compressed already, so stored as they are.
 *
 * Format: PKWARE, APPNOTE.TXT 6.3.10, sections 4.3.7, 4.3.12 and 4.3.16; names are UTF-8 (flag bit
 * 11). Without ZIP64 an archive holds less than 4 GB and 65,536 files.
 */

const UTF8_NAMES = 0x0800;
const VERSION = 20;
const MOST_BYTES = 0xffffffff;
const END_BYTES = 22;

/**
 * Rejects with the reason of `signal` when that is aborted.
 * @param {Iterable<{name: string, blob: Blob}>} files
 * @param {AbortSignal} signal
 * @param {Date} [time] of every file
 * @returns {Promise<Blob>} made of the blobs themselves: only one is in memory at a time
 */
export async function zip(files, signal, time = new Date()) {
  /** @type {(Blob | Uint8Array<ArrayBuffer>)[]} */
  const parts = [];
  /** @type {Uint8Array<ArrayBuffer>[]} */
  const directory = [];
  let offset = 0;
  for (const { name, blob } of files) {
    const bytes = new TextEncoder().encode(name);
    const content = await blob.arrayBuffer();
    signal.throwIfAborted();
    const checksum = crc32(new Uint8Array(content));
    const common = [
      [2, VERSION], [2, UTF8_NAMES], [2, 0], [2, dosTime(time)], [2, dosDate(time)],
      [4, checksum], [4, blob.size], [4, blob.size], [2, bytes.length], [2, 0],
    ]; // prettier-ignore
    parts.push(record(bytes, [[4, 0x04034b50], ...common]), blob);
    directory.push(
      record(bytes, [[4, 0x02014b50], [2, VERSION], ...common, [2, 0], [2, 0], [2, 0], [4, 0], [4, offset]]),
    );
    offset += 30 + bytes.length + blob.size;
  }
  const directoryBytes = directory.reduce((sum, entry) => sum + entry.length, 0);
  if (offset + directoryBytes > MOST_BYTES) throw new Error("more than 4 GB do not fit into a ZIP");
  const count = directory.length;
  const end = record(new Uint8Array(), [
    [4, 0x06054b50], [2, 0], [2, 0], [2, count], [2, count], [4, directoryBytes], [4, offset], [2, 0],
  ]); // prettier-ignore
  return new Blob([...parts, ...directory, end], { type: "application/zip" });
}

/**
 * The files of an archive that holds them as they are, as `zip` and the service write it.
 * @param {Blob} archive
 * @returns {Promise<{name: string, blob: Blob}[]>}
 */
export async function unzip(archive) {
  const view = new DataView(await archive.arrayBuffer());
  const end = view.byteLength - END_BYTES;
  if (end < 0 || view.getUint32(end, true) !== 0x06054b50) throw new Error("not a ZIP archive");
  const files = [];
  let at = view.getUint32(end + 16, true);
  for (let count = view.getUint16(end + 10, true); count > 0; count--) {
    if (view.getUint16(at + 10, true) !== 0) throw new Error("a compressed file in a ZIP archive");
    const [size, nameSize] = [view.getUint32(at + 24, true), view.getUint16(at + 28, true)];
    const name = new TextDecoder().decode(new Uint8Array(view.buffer, at + 46, nameSize));
    const local = view.getUint32(at + 42, true);
    const start = local + 30 + view.getUint16(local + 26, true) + view.getUint16(local + 28, true);
    files.push({ name, blob: archive.slice(start, start + size) });
    at += 46 + nameSize + view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
  }
  return files;
}

/**
 * Numbers of 2 or 4 bytes, little endian, and a name after them.
 * @param {Uint8Array} name
 * @param {number[][]} fields byte count and value of each
 */
function record(name, fields) {
  const size = fields.reduce((sum, [width = 0]) => sum + width, 0);
  const bytes = new Uint8Array(size + name.length);
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const [width = 0, value = 0] of fields) {
    if (width === 2) view.setUint16(at, value, true);
    else view.setUint32(at, value, true);
    at += width;
  }
  bytes.set(name, at);
  return bytes;
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  for (let bit = 0; bit < 8; bit++) byte = byte & 1 ? (byte >>> 1) ^ 0xedb88320 : byte >>> 1;
  return byte;
});

/** CRC-32 as ZIP has it (ISO 3309). @param {Uint8Array} bytes */
function crc32(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (CRC_TABLE[(crc ^ byte) & 0xff] ?? 0) ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

/** @param {Date} time */
function dosTime(time) {
  return (time.getHours() << 11) | (time.getMinutes() << 5) | (time.getSeconds() >> 1);
}

/** @param {Date} time */
function dosDate(time) {
  return ((time.getFullYear() - 1980) << 9) | ((time.getMonth() + 1) << 5) | time.getDate();
}
