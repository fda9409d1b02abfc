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

/** What the fields of a form say, by their names. @typedef {Record<string, string | boolean>} Values */

/** @param {HTMLFormElement} form */
export function valuesOf(form) {
  /** @type {Values} */
  const values = {};
  for (const field of fieldsOf(form)) {
    if (field.type === "checkbox") values[field.name] = field.checked;
    else if (field.type !== "radio" || field.checked) values[field.name] = field.value;
  }
  return values;
}

/**
 * Keep values for the next visit.
 * @param {string} name
 * @param {Values} values
 */
export function keepValues(name, values) {
  remember("localStorage", name, JSON.stringify(values));
}

/** What was kept, which may be anything. @param {string} name */
export function keptValues(name) {
  return parsed(recall("localStorage", name));
}

/**
 * Choose `values` in `form`, as far as it has them.
 * @param {HTMLFormElement} form
 * @param {Record<string, unknown>} values
 */
export function fillFields(form, values) {
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
