/** A mistake in an input; the message is one line that says what was found and what was expected. */
export class UserError extends Error {
  /** @param {string} message */
  constructor(message) {
    super(message);
    this.name = 'UserError';
  }
}
