/** What the browser keeps, where it lets the page; without it everything works, but is forgotten. */

/**
 * @param {"localStorage" | "sessionStorage"} area for ever, or for this tab
 * @param {string} name
 */
export function recall(area, name) {
  try {
    return window[area].getItem(name);
  } catch {
    return null; // cookies are blocked
  }
}

/**
 * @param {"localStorage" | "sessionStorage"} area
 * @param {string} name
 * @param {string} value
 */
export function remember(area, name, value) {
  try {
    window[area].setItem(name, value);
  } catch {
    // cookies are blocked
  }
}

/**
 * Keep what is chosen in `form` for the next visit.
 * @param {HTMLFormElement} form
 * @param {string} name
 */
export function keepFields(form, name) {
  /** @type {Record<string, string | boolean>} */
  const values = {};
  for (const field of fieldsOf(form)) {
    if (field.type === "checkbox") values[field.name] = field.checked;
    else if (field.type !== "radio" || field.checked) values[field.name] = field.value;
  }
  remember("localStorage", name, JSON.stringify(values));
}

/**
 * Choose in `form` what was kept, as far as it still has it.
 * @param {HTMLFormElement} form
 * @param {string} name
 */
export function restoreFields(form, name) {
  const values = parsed(recall("localStorage", name));
  for (const field of fieldsOf(form)) {
    const value = values[field.name];
    if (field.type === "checkbox") field.checked = typeof value === "boolean" ? value : field.checked;
    else if (typeof value !== "string") continue;
    else if (field.type === "radio") field.checked ||= field.value === value; // one is always checked
    else if (field.type !== "select-one" || has(field, value)) field.value = value;
  }
}

/** @typedef {{name: string, type: string, value: string, checked: boolean, options?: HTMLOptionsCollection}} Field */

/**
 * @param {HTMLFormElement} form
 * @returns {Field[]}
 */
function fieldsOf(form) {
  const fields = /** @type {unknown} */ ([...form.querySelectorAll("input[name], select[name]")]);
  return /** @type {Field[]} */ (fields);
}

/** @param {Field} select @param {string} value */
function has({ options }, value) {
  return [...(options ?? [])].some((option) => option.value === value);
}

/**
 * @param {string | null} text
 * @returns {Record<string, unknown>}
 */
function parsed(text) {
  try {
    return Object(JSON.parse(text ?? "{}"));
  } catch {
    return {};
  }
}
