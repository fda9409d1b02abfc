/** Pictures come in: dropped, chosen or pasted; folders with every picture below them. */

import { byId } from "./dom.js";
import { isOwnDrag } from "./dragout.js";
import { isTyping } from "./keys.js";

/** A file, and the folder it came in: `shoes/red/`, or "". @typedef {{file: File, folder: string}} Arrival */

/** What is taken from a folder, which may hold anything: the list of `rmbg-service remove`. */
const SUFFIXES =
  "jpg jpeg jpe jfif mpo png apng webp avif avifs heic heics heif heifs hif tif tiff gif bmp dib";
const PICTURE_NAME = new RegExp(`^[^.].*\\.(${SUFFIXES.replaceAll(" ", "|")})$`, "i");

/**
 * @param {(arrivals: Arrival[]) => void} take what came, which of a folder may be nothing
 * @param {() => void} refuse what to do when a link was dropped: browsers give no files of other pages
 */
export function startIntake(take, refuse) {
  const files = byId("files", HTMLInputElement);
  const folder = byId("folder", HTMLInputElement);
  files.addEventListener("change", () => take(emptied(files).map(alone)));
  folder.addEventListener("change", () => {
    const inside = emptied(folder).filter(({ name }) => PICTURE_NAME.test(name));
    const arrivals = inside.map((file) => ({ file, folder: folderOf(file.webkitRelativePath) }));
    take(arrivals.sort((a, b) => inOrder(a.folder + a.file.name, b.folder + b.file.name)));
  });
  document.addEventListener("paste", (event) => {
    const pasted = [...(event.clipboardData?.files ?? [])];
    const text = isTyping(event.target) && event.clipboardData?.types.includes("text/plain"); // with a picture of it
    if (pasted.length > 0 && !text) {
      event.preventDefault();
      take(pasted.map(alone));
    }
  });
  // The whole page takes a drop: a miss would make the browser leave the page for the file.
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    if (!isOwnDrag() && event.dataTransfer?.types.includes("Files")) document.body.classList.add("over");
  });
  document.addEventListener("dragleave", (event) => {
    if (event.relatedTarget === null) document.body.classList.remove("over");
  });
  document.addEventListener("drop", async (event) => {
    event.preventDefault();
    document.body.classList.remove("over");
    if (isOwnDrag()) return; // a result let go over the page it came from
    const items = [...(event.dataTransfer?.items ?? [])].filter(({ kind }) => kind === "file");
    if (items.length > 0) take(await dropped(items));
    else if (event.dataTransfer?.types.includes("text/uri-list")) refuse(); // and not for a text
  });
}

/**
 * The files of `input`, which forgets them, so that the same ones can be chosen again.
 * @param {HTMLInputElement} input
 */
function emptied(input) {
  const files = [...(input.files ?? [])];
  input.value = "";
  return files;
}

/**
 * @param {File} file
 * @returns {Arrival}
 */
function alone(file) {
  return { file, folder: "" };
}

/**
 * @param {DataTransferItem[]} items
 * @returns {Promise<Arrival[]>}
 */
async function dropped(items) {
  // What an item is can only be asked during the event: so first all of them, then what is below.
  const found = items.map((item) => ({ entry: item.webkitGetAsEntry(), file: item.getAsFile() }));
  const arrivals = found.map(({ entry, file }) =>
    entry?.isDirectory ? below(/** @type {FileSystemDirectoryEntry} */ (entry)) : file ? [alone(file)] : [],
  );
  return (await Promise.all(arrivals)).flat();
}

/**
 * Every picture below `folder`, in the order in which people count; of a folder that cannot be read
 * an empty file, which is then refused by name.
 * @param {FileSystemDirectoryEntry} folder
 * @returns {Promise<Arrival[]>}
 */
async function below(folder) {
  /** @type {Arrival[]} */
  const arrivals = [];
  const entries = await entriesOf(folder).catch(() => null);
  if (!entries) return [{ file: new File([], `${folder.name}/`), folder: folderOf(folder.fullPath) }];
  for (const entry of entries.sort((a, b) => inOrder(a.name, b.name))) {
    if (entry.isDirectory) arrivals.push(...(await below(/** @type {FileSystemDirectoryEntry} */ (entry))));
    else if (PICTURE_NAME.test(entry.name)) {
      const file = await fileOf(/** @type {FileSystemFileEntry} */ (entry));
      arrivals.push({ file, folder: folderOf(entry.fullPath) });
    }
  }
  return arrivals;
}

/**
 * @param {FileSystemDirectoryEntry} folder
 * @returns {Promise<FileSystemEntry[]>}
 */
async function entriesOf(folder) {
  const reader = folder.createReader();
  const entries = [];
  for (;;) {
    /** @type {FileSystemEntry[]} */
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return entries;
    entries.push(...some); // browsers give about a hundred at a time
  }
}

/**
 * The file of `entry`; an empty one, which is then refused by name, where it cannot be read.
 * @param {FileSystemFileEntry} entry
 * @returns {Promise<File>}
 */
function fileOf(entry) {
  return new Promise((resolve) => entry.file(resolve, () => resolve(new File([], entry.name))));
}

/** `shoes/red/` of `/shoes/red/1.jpg`. @param {string} path */
function folderOf(path) {
  return path.slice(0, path.lastIndexOf("/") + 1).replace(/^\//, "");
}

/** 2 before 10. @param {string} one @param {string} other */
function inOrder(one, other) {
  return one.localeCompare(other, undefined, { numeric: true });
}
