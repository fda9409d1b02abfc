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
