/** Session Report Requests. Source: TS 29.244 clause 7.5.8. Owner: the control thread. */
import { EventWord } from '../../datapath/datapath.js';
import type { RecordPlace } from '../../session/engine.js';
import * as Ie from '../codec/ie.js';
import * as Message from '../codec/message-type.js';
import { MESSAGE_MAX, MessageWriter } from '../codec/message-writer.js';
import { detectedApplication } from './usage/detected-application.js';
import { writeUsage } from './usage/usage-encode.js';

export type ReportKind = 'usage' | 'downlink' | 'error' | 'inactivity';

/** Report Type. */
const TYPES: Readonly<Record<ReportKind, number>> = {
  downlink: 1,
  usage: 2,
  error: 4,
  inactivity: 8,
};
/** Downlink Data Service Information: a QFI, and no paging policy, which SMFs refuse. */
const QFII = 2;
/** Where the octet of the Report Type lies, which comes first. */
const TYPE_AT = 16 + 4;

export class SessionReportWriter {
  private readonly writer = new MessageWriter();
  private readonly service = new Uint8Array(2);
  private types = 0;

  begin(cpSeidLow: number, cpSeidHigh: number): void {
    this.types = 0;
    this.writer.begin(Message.SessionReportRequest, true, cpSeidLow, cpSeidHigh);
    this.writer.u8(Ie.ReportType, 0);
  }

  /**
   * False: it does not fit any more. Reports of different kinds may go together.
   * @param place  the session's record, null: it is gone.
   */
  add(kind: ReportKind, event: Uint32Array, place: RecordPlace | null): boolean {
    const { writer } = this;
    const mark = writer.length;
    if (kind === 'usage') {
      const type = Ie.UsageReportInReport;
      const application = detectedApplication(event, place);
      if (!writeUsage(writer, type, event, 0, place, MESSAGE_MAX, application)) return false;
    } else if (kind === 'downlink') this.downlink(event);
    else if (kind === 'error') this.error(event);
    if (writer.overflowed || writer.length > MESSAGE_MAX) {
      writer.length = mark;
      writer.overflowed = false;
      return false;
    }
    this.types |= TYPES[kind];
    return true;
  }

  /** The message without its sequence number. */
  finish(): MessageWriter {
    this.writer.bytes[TYPE_AT] = this.types;
    return this.writer;
  }

  private downlink(event: Uint32Array): void {
    const { writer, service } = this;
    writer.open(Ie.DownlinkDataReport);
    writer.u16(Ie.PdrId, event[EventWord.Id]!);
    const qfi = event[EventWord.Qfi]!;
    if (qfi !== 0) {
      service[0] = QFII;
      service[1] = qfi;
      writer.copy(Ie.DownlinkDataServiceInformation, service);
    }
    writer.close();
  }

  private error(event: Uint32Array): void {
    const { writer } = this;
    const ipv6 = event[EventWord.Qfi] === 1;
    const at = EventWord.Address;
    writer.open(Ie.ErrorIndicationReport);
    writer.fTeid(event[EventWord.Id]!, !ipv6, event[at]!, ipv6, event, at);
    writer.close();
  }
}
