/** Every message and what stands in it. Source: TS 29.244 clauses 7.4 and 7.5. */
import * as Ie from '../ie.js';
import * as Message from '../message-type.js';
import {
  conditional,
  conditionalList,
  type Handling,
  type Member,
  mandatory,
  mandatoryList,
  optional,
  optionalList,
} from './element.js';

export interface MessageRow {
  readonly type: number;
  readonly name: string;
  readonly clause: string;
  /** with the sessions' header, that is with a SEID */
  readonly session: boolean;
  readonly handling: Handling;
  readonly members: readonly Member[];
}

const node = (type: number, name: string, clause: string, members: readonly Member[]) =>
  ({ type, name, clause, session: false, handling: 'supported', members }) as const;
const session = (type: number, name: string, clause: string, members: readonly Member[]) =>
  ({ type, name, clause, session: true, handling: 'supported', members }) as const;

const answer = [...mandatory(Ie.NodeId, Ie.Cause), ...conditional(Ie.OffendingIe)];
const load = optional(Ie.LoadControlInformation, Ie.OverloadControlInformation);
const upAssociation = [
  ...optional(Ie.UpFunctionFeatures),
  ...optionalList(Ie.UserPlaneIpResourceInformation, Ie.UeIpAddressPoolInformation),
  ...optionalList(Ie.GtpUPathQosControlInformation, Ie.ClockDriftControlInformation),
];

const nodeMessages: readonly MessageRow[] = [
  node(Message.HeartbeatRequest, 'Heartbeat Request', '7.4.2.1', [
    ...mandatory(Ie.RecoveryTimeStamp),
    ...optional(Ie.SourceIpAddress),
  ]),
  node(Message.HeartbeatResponse, 'Heartbeat Response', '7.4.2.2', mandatory(Ie.RecoveryTimeStamp)),
  node(Message.PfdManagementRequest, 'PFD Management Request', '7.4.3.1', [
    ...conditionalList(Ie.ApplicationIdsPfds),
    ...optional(Ie.NodeId),
  ]),
  node(Message.PfdManagementResponse, 'PFD Management Response', '7.4.3.2', [
    ...mandatory(Ie.Cause),
    ...conditional(Ie.OffendingIe),
    ...optional(Ie.NodeId),
  ]),
  node(Message.AssociationSetupRequest, 'Association Setup Request', '7.4.4.1', [
    ...mandatory(Ie.NodeId, Ie.RecoveryTimeStamp),
    ...conditional(Ie.CpFunctionFeatures),
    ...upAssociation,
    ...optional(Ie.AlternativeSmfIpAddress, Ie.SmfSetId, Ie.PfcpSessionRetentionInformation),
    ...optional(Ie.NfInstanceId, Ie.PfcpAsReqFlags),
  ]),
  node(Message.AssociationSetupResponse, 'Association Setup Response', '7.4.4.2', [
    ...mandatory(Ie.NodeId, Ie.Cause, Ie.RecoveryTimeStamp),
    ...conditional(Ie.CpFunctionFeatures),
    ...upAssociation,
    ...optional(Ie.AlternativeSmfIpAddress, Ie.SmfSetId, Ie.PfcpAsRspFlags, Ie.NfInstanceId),
  ]),
  node(Message.AssociationUpdateRequest, 'Association Update Request', '7.4.4.3', [
    ...mandatory(Ie.NodeId),
    ...optional(Ie.CpFunctionFeatures),
    ...upAssociation,
    ...conditional(Ie.PfcpAssociationReleaseRequest, Ie.GracefulReleasePeriod),
    ...optional(Ie.PfcpAuReqFlags, Ie.SmfSetId),
    ...optionalList(Ie.AlternativeSmfIpAddress, Ie.UeIpAddressUsageInformation),
  ]),
  node(Message.AssociationUpdateResponse, 'Association Update Response', '7.4.4.4', [
    ...mandatory(Ie.NodeId, Ie.Cause),
    ...optional(Ie.UpFunctionFeatures, Ie.CpFunctionFeatures),
    ...optionalList(Ie.UeIpAddressUsageInformation),
  ]),
  node(
    Message.AssociationReleaseRequest,
    'Association Release Request',
    '7.4.4.5',
    mandatory(Ie.NodeId),
  ),
  node(
    Message.AssociationReleaseResponse,
    'Association Release Response',
    '7.4.4.6',
    mandatory(Ie.NodeId, Ie.Cause),
  ),
  node(Message.VersionNotSupportedResponse, 'Version Not Supported Response', '7.4.4.7', []),
  node(Message.NodeReportRequest, 'Node Report Request', '7.4.5.1', [
    ...mandatory(Ie.NodeId, Ie.NodeReportType),
    ...conditional(Ie.UserPlanePathFailureReport, Ie.UserPlanePathRecoveryReport),
    ...conditionalList(Ie.ClockDriftReport, Ie.GtpUPathQosReport),
    ...conditional(Ie.PeerUpRestartReport, Ie.VendorSpecificNodeReportType),
  ]),
  node(Message.NodeReportResponse, 'Node Report Response', '7.4.5.2', answer),
  node(Message.SessionSetDeletionRequest, 'Session Set Deletion Request', '7.4.6.1', [
    ...mandatory(Ie.NodeId),
    ...conditionalList(Ie.FqCsid, Ie.GroupId),
    ...conditional(Ie.CpIpAddress),
  ]),
  node(Message.SessionSetDeletionResponse, 'Session Set Deletion Response', '7.4.6.2', answer),
  {
    ...node(Message.SessionSetModificationRequest, 'Session Set Modification Request', '7.4.7.1', [
      ...mandatory(Ie.NodeId),
      ...optionalList(Ie.PfcpSessionChangeInfo),
    ]),
    handling: 'refused',
  },
  {
    ...node(
      Message.SessionSetModificationResponse,
      'Session Set Modification Response',
      '7.4.7.2',
      answer,
    ),
    handling: 'ignored',
  },
];

const sessionMessages: readonly MessageRow[] = [
  session(Message.SessionEstablishmentRequest, 'Session Establishment Request', '7.5.2', [
    ...mandatory(Ie.NodeId, Ie.FSeid),
    ...mandatoryList(Ie.CreatePdr, Ie.CreateFar),
    ...conditionalList(Ie.CreateUrr, Ie.CreateQer, Ie.CreateBar, Ie.CreateTrafficEndpoint),
    ...conditional(Ie.PdnType),
    ...conditionalList(Ie.FqCsid),
    ...optional(Ie.UserPlaneInactivityTimer, Ie.UserId, Ie.TraceInformation, Ie.ApnDnn),
    ...conditionalList(Ie.CreateMar),
    ...optional(Ie.PfcpSeReqFlags, Ie.CreateBridgeInfoForTsc, Ie.ProvideAtsssControlInformation),
    ...optional(Ie.RecoveryTimeStamp, Ie.SNssai, Ie.RatType),
    ...optionalList(Ie.CreateSrr),
    ...optional(Ie.ProvideRdsConfigurationInformation, Ie.L2tpTunnelInformation),
    ...optional(Ie.L2tpSessionInformation, Ie.GroupId, Ie.MbsSessionN4mbControlInformation),
    ...optionalList(Ie.MbsSessionN4ControlInformation, Ie.DscpToPpiControlInformation),
  ]),
  session(Message.SessionEstablishmentResponse, 'Session Establishment Response', '7.5.3', [
    ...mandatory(Ie.NodeId, Ie.Cause),
    ...conditional(Ie.OffendingIe, Ie.FSeid),
    ...conditionalList(Ie.CreatedPdr),
    ...load,
    ...conditionalList(Ie.FqCsid),
    ...conditional(Ie.FailedRuleId),
    ...conditionalList(Ie.CreatedTrafficEndpoint),
    ...conditional(Ie.CreatedBridgeInfoForTsc, Ie.AtsssControlParameters),
    ...conditional(Ie.RdsConfigurationInformation, Ie.CreatedL2tpSession),
    ...conditionalList(Ie.PartialFailureInformation, Ie.MbsSessionN4mbInformation),
    ...conditionalList(Ie.MbsSessionN4Information),
  ]),
  session(Message.SessionModificationRequest, 'Session Modification Request', '7.5.4', [
    ...conditional(Ie.FSeid),
    ...conditionalList(Ie.RemovePdr, Ie.RemoveFar, Ie.RemoveUrr, Ie.RemoveQer, Ie.RemoveBar),
    ...conditionalList(Ie.RemoveTrafficEndpoint),
    ...conditionalList(Ie.CreatePdr, Ie.CreateFar, Ie.CreateUrr, Ie.CreateQer, Ie.CreateBar),
    ...conditionalList(Ie.CreateTrafficEndpoint),
    ...conditionalList(Ie.UpdatePdr, Ie.UpdateFar, Ie.UpdateUrr, Ie.UpdateQer),
    ...conditionalList(Ie.UpdateBarInModification, Ie.UpdateTrafficEndpoint),
    ...conditional(Ie.PfcpSmReqFlags),
    ...conditionalList(Ie.QueryUrr, Ie.FqCsid),
    ...conditional(Ie.UserPlaneInactivityTimer),
    ...optional(Ie.QueryUrrReference, Ie.TraceInformation),
    ...conditionalList(Ie.RemoveMar, Ie.UpdateMar, Ie.CreateMar),
    ...conditional(Ie.NodeId, Ie.TscManagementInformationInModification),
    ...conditionalList(Ie.RemoveSrr, Ie.CreateSrr, Ie.UpdateSrr),
    ...conditional(Ie.ProvideAtsssControlInformation, Ie.EthernetPduSessionInformation),
    ...conditional(Ie.AccessAvailabilityControlInformation, Ie.QueryPacketRateStatus),
    ...optional(Ie.SNssai, Ie.RatType, Ie.GroupId),
    ...conditional(Ie.MbsSessionN4ControlInformation, Ie.DscpToPpiControlInformation),
  ]),
  session(Message.SessionModificationResponse, 'Session Modification Response', '7.5.5', [
    ...mandatory(Ie.Cause),
    ...conditional(Ie.OffendingIe),
    ...conditionalList(Ie.CreatedPdr),
    ...load,
    ...conditionalList(Ie.UsageReportInModification),
    ...conditional(Ie.FailedRuleId, Ie.AdditionalUsageReportsInformation),
    ...conditionalList(Ie.CreatedTrafficEndpoint),
    ...conditional(Ie.TscManagementInformationInModificationResponse),
    ...conditional(Ie.AtsssControlParameters),
    ...conditionalList(Ie.UpdatedPdr, Ie.PacketRateStatusReportInModification),
    ...conditionalList(Ie.PartialFailureInformationInModification),
  ]),
  session(Message.SessionDeletionRequest, 'Session Deletion Request', '7.5.6', [
    ...conditional(Ie.TscManagementInformationInModification),
    ...optional(Ie.FSeid, Ie.NodeId),
  ]),
  session(Message.SessionDeletionResponse, 'Session Deletion Response', '7.5.7', [
    ...mandatory(Ie.Cause),
    ...conditional(Ie.OffendingIe),
    ...load,
    ...conditionalList(Ie.UsageReportInDeletion),
    ...conditional(Ie.AdditionalUsageReportsInformation),
    ...conditionalList(Ie.PacketRateStatusReportInDeletion),
    ...conditional(Ie.MbsSessionN4Information, Ie.PfcpSdRspFlags),
  ]),
  session(Message.SessionReportRequest, 'Session Report Request', '7.5.8', [
    ...mandatory(Ie.ReportType),
    ...conditional(Ie.DownlinkDataReport),
    ...conditionalList(Ie.UsageReportInReport),
    ...conditional(Ie.ErrorIndicationReport),
    ...load,
    ...conditional(Ie.AdditionalUsageReportsInformation, Ie.PfcpSrReqFlags, Ie.FSeid),
    ...conditional(Ie.PacketRateStatusReportInModification),
    ...conditional(Ie.TscManagementInformationInReport),
    ...conditionalList(Ie.SessionReport),
    ...conditional(Ie.Cause),
  ]),
  session(Message.SessionReportResponse, 'Session Report Response', '7.5.9', [
    ...mandatory(Ie.Cause),
    ...conditional(Ie.OffendingIe),
    ...conditionalList(Ie.UpdateBarInReport),
    ...conditional(Ie.PfcpSrRspFlags, Ie.FSeid),
    ...conditional(Ie.AlternativeSmfIpAddress, Ie.FqCsid, Ie.GroupId),
  ]),
];

export const messages: readonly MessageRow[] = [...nodeMessages, ...sessionMessages];
