/** Reads the shadow of a session where its record lies. Owner: the control thread. */
import * as layout from '../../model/record-layout.js';
import type { RecordPlace } from '../../session/engine.js';
import { MessageReader } from '../codec/message-reader.js';
import * as Message from '../codec/message-type.js';

const NO_BYTES = new Uint8Array(0);

export class ShadowReader {
  readonly reader = new MessageReader();
  /** Bytes of the slab's chunk that was looked at last. */
  private chunk: Uint8Array = NO_BYTES;

  /** False: the session has none, or none that can be read. `reader` shows it where it lies. */
  read({ words, start }: RecordPlace): boolean {
    const ref = words[start + layout.HEADER_SHADOW]!;
    if (ref === 0) return false;
    if (this.chunk.buffer !== words.buffer) this.chunk = new Uint8Array(words.buffer);
    const at = words.byteOffset + (start + (ref >>> 16)) * 4;
    const type = Message.SessionEstablishmentRequest;
    return this.reader.readBody(type, this.chunk, at, at + (ref & 0xffff));
  }
}
