/** PDRs, FARs, URRs, QERs, BARs and traffic endpoints: TS 29.244 clauses 7.5.2 to 7.5.4. */
import * as Ie from '../ie.js';
import {
  always,
  conditional,
  conditionalList,
  type Element,
  group,
  ignoredGroup,
  type Member,
  mandatory,
  mandatoryList,
  optional,
  optionalList,
  refusedGroup,
} from './element.js';

const pdi: readonly Member[] = [
  ...mandatory(Ie.SourceInterface),
  ...optional(Ie.FTeid, Ie.LocalIngressTunnel, Ie.NetworkInstance),
  ...optionalList(Ie.UeIpAddress, Ie.TrafficEndpointId, Ie.SdfFilter),
  ...optional(Ie.ApplicationId, Ie.EthernetPduSessionInformation),
  ...optionalList(Ie.EthernetPacketFilter, Ie.Qfi, Ie.FramedRoute),
  ...optional(Ie.FramedRouting),
  ...optionalList(Ie.FramedIpv6Route),
  ...optional(Ie.ThreeGppInterfaceType, Ie.IpMulticastAddressingInfo, Ie.DnsQueryFilter),
  ...optional(Ie.MbsSessionIdentifier, Ie.AreaSessionId),
  ...optional(Ie.RedundantTransmissionDetectionParameters),
];

const forwarding: readonly Member[] = [
  ...optional(Ie.NetworkInstance, Ie.RedirectInformation),
  ...conditional(Ie.OuterHeaderCreation, Ie.TransportLevelMarking, Ie.ForwardingPolicy),
  ...optional(Ie.HeaderEnrichment),
  ...conditional(Ie.TrafficEndpointId, Ie.Proxying, Ie.ThreeGppInterfaceType),
  ...conditional(Ie.DataNetworkAccessIdentifier, Ie.IpAddressAndPortNumberReplacement),
];

const duplicating = conditional(
  Ie.OuterHeaderCreation,
  Ie.TransportLevelMarking,
  Ie.ForwardingPolicy,
);

const far: readonly Member[] = [
  ...conditionalList(Ie.DuplicatingParameters),
  ...optional(Ie.BarId),
  ...conditional(Ie.RedundantTransmissionForwardingParameters),
  ...conditional(Ie.MbsMulticastParameters),
  ...conditionalList(Ie.AddMbsUnicastParameters),
];

const measurement: readonly Member[] = [
  ...conditional(Ie.MeasurementPeriod, Ie.VolumeThreshold, Ie.VolumeQuota, Ie.EventThreshold),
  ...conditional(Ie.EventQuota, Ie.TimeThreshold, Ie.TimeQuota, Ie.QuotaHoldingTime),
  ...conditional(Ie.DroppedDlTrafficThreshold, Ie.QuotaValidityTime),
  ...optional(Ie.MonitoringTime, Ie.SubsequentVolumeThreshold, Ie.SubsequentTimeThreshold),
  ...optional(Ie.SubsequentVolumeQuota, Ie.SubsequentTimeQuota),
  ...optional(Ie.SubsequentEventThreshold, Ie.SubsequentEventQuota),
  ...conditional(Ie.InactivityDetectionTime),
  ...conditionalList(Ie.LinkedUrrId),
  ...conditional(Ie.MeasurementInformation, Ie.TimeQuotaMechanism, Ie.FarId),
  ...conditionalList(Ie.AggregatedUrrs),
  ...conditional(Ie.EthernetInactivityTimer),
  ...optionalList(Ie.AdditionalMonitoringTime),
  ...optional(Ie.NumberOfReports, Ie.ReportingFlags),
];

const qer: readonly Member[] = [
  ...conditional(Ie.QerCorrelationId, Ie.Mbr, Ie.Gbr, Ie.PacketRate, Ie.PacketRateStatus),
  ...conditional(Ie.DlFlowLevelMarking, Ie.Qfi, Ie.Rqi, Ie.PagingPolicyIndicator),
  ...optional(Ie.AveragingWindow, Ie.QerControlIndications, Ie.QerIndications),
];

const buffering = conditional(
  Ie.DownlinkDataNotificationDelay,
  Ie.SuggestedBufferingPacketsCount,
  Ie.MtEdtControlInformation,
);

const endpoint: readonly Member[] = [
  ...optional(Ie.FTeid, Ie.NetworkInstance, Ie.RedundantTransmissionDetectionParameters),
  ...optionalList(Ie.UeIpAddress),
  ...optional(Ie.EthernetPduSessionInformation),
  ...optionalList(Ie.FramedRoute),
  ...optional(Ie.FramedRouting),
  ...optionalList(Ie.FramedIpv6Route, Ie.Qfi),
  ...optional(Ie.ThreeGppInterfaceType, Ie.LocalIngressTunnel),
];

export const rulesToCreate: readonly Element[] = [
  group(Ie.CreatePdr, 'Create PDR', [
    ...mandatory(Ie.PdrId, Ie.Precedence, Ie.Pdi),
    ...conditional(Ie.OuterHeaderRemoval),
    // Without predefined rules and MARs, which are refused, a PDR without a FAR means nothing.
    ...always(Ie.FarId),
    ...conditionalList(Ie.UrrId, Ie.QerId, Ie.ActivatePredefinedRules),
    ...optional(Ie.ActivationTime, Ie.DeactivationTime),
    ...conditional(Ie.PacketReplicationAndDetectionCarryOnInformation),
    ...conditionalList(Ie.IpMulticastAddressingInfo, Ie.UeIpAddressPoolIdentity),
    ...conditional(Ie.MptcpApplicableIndication, Ie.TransportDelayReporting),
  ]),
  group(Ie.Pdi, 'PDI', pdi),
  group(Ie.CreateFar, 'Create FAR', [
    ...mandatory(Ie.FarId, Ie.ApplyAction),
    ...conditional(Ie.ForwardingParameters),
    ...far,
  ]),
  group(Ie.ForwardingParameters, 'Forwarding Parameters', [
    ...mandatory(Ie.DestinationInterface),
    ...forwarding,
  ]),
  group(Ie.DuplicatingParameters, 'Duplicating Parameters', [
    ...mandatory(Ie.DestinationInterface),
    ...duplicating,
  ]),
  group(Ie.CreateUrr, 'Create URR', [
    ...mandatory(Ie.UrrId, Ie.MeasurementMethod, Ie.ReportingTriggers),
    ...measurement,
  ]),
  group(Ie.AdditionalMonitoringTime, 'Additional Monitoring Time', [
    ...mandatory(Ie.MonitoringTime),
    ...optional(Ie.SubsequentVolumeThreshold, Ie.SubsequentTimeThreshold),
    ...optional(Ie.SubsequentVolumeQuota, Ie.SubsequentTimeQuota),
    ...optional(Ie.SubsequentEventThreshold, Ie.SubsequentEventQuota),
  ]),
  group(Ie.CreateQer, 'Create QER', [...mandatory(Ie.QerId, Ie.GateStatus), ...qer]),
  group(Ie.CreateBar, 'Create BAR', [...mandatory(Ie.BarId), ...buffering]),
  group(Ie.CreateTrafficEndpoint, 'Create Traffic Endpoint', [
    ...mandatory(Ie.TrafficEndpointId),
    ...endpoint,
  ]),
  refusedGroup(Ie.CreateMar, 'Create MAR', []),
  refusedGroup(Ie.CreateSrr, 'Create SRR', []),
];

export const rulesToUpdate: readonly Element[] = [
  group(Ie.UpdatePdr, 'Update PDR', [
    ...mandatory(Ie.PdrId),
    ...conditional(Ie.OuterHeaderRemoval, Ie.Precedence, Ie.Pdi, Ie.FarId),
    ...conditionalList(Ie.UrrId, Ie.QerId, Ie.ActivatePredefinedRules),
    ...conditionalList(Ie.DeactivatePredefinedRules),
    ...optional(Ie.ActivationTime, Ie.DeactivationTime),
    ...conditionalList(Ie.IpMulticastAddressingInfo),
    ...conditional(Ie.TransportDelayReporting),
  ]),
  group(Ie.UpdateFar, 'Update FAR', [
    ...mandatory(Ie.FarId),
    ...conditional(Ie.ApplyAction, Ie.UpdateForwardingParameters),
    ...conditionalList(Ie.UpdateDuplicatingParameters),
    ...conditional(Ie.RedundantTransmissionForwardingParameters, Ie.BarId),
    ...conditionalList(Ie.AddMbsUnicastParameters, Ie.RemoveMbsUnicastParameters),
  ]),
  group(Ie.UpdateForwardingParameters, 'Update Forwarding Parameters', [
    ...conditional(Ie.DestinationInterface),
    ...forwarding,
    ...conditional(Ie.PfcpSmReqFlags),
  ]),
  group(Ie.UpdateDuplicatingParameters, 'Update Duplicating Parameters', [
    ...conditional(Ie.DestinationInterface),
    ...duplicating,
  ]),
  group(Ie.UpdateUrr, 'Update URR', [
    ...mandatory(Ie.UrrId),
    ...conditional(Ie.MeasurementMethod, Ie.ReportingTriggers),
    ...measurement,
  ]),
  group(Ie.UpdateQer, 'Update QER', [
    ...mandatory(Ie.QerId),
    ...conditional(Ie.GateStatus),
    ...qer,
  ]),
  group(Ie.UpdateBarInModification, 'Update BAR (Session Modification Request)', [
    ...mandatory(Ie.BarId),
    ...buffering,
  ]),
  group(Ie.UpdateBarInReport, 'Update BAR (Session Report Response)', [
    ...mandatory(Ie.BarId),
    ...conditional(Ie.DownlinkDataNotificationDelay, Ie.DlBufferingDuration),
    ...conditional(Ie.DlBufferingSuggestedPacketCount, Ie.SuggestedBufferingPacketsCount),
  ]),
  group(Ie.UpdateTrafficEndpoint, 'Update Traffic Endpoint', [
    ...mandatory(Ie.TrafficEndpointId),
    ...endpoint,
  ]),
  group(Ie.RemovePdr, 'Remove PDR', mandatory(Ie.PdrId)),
  group(Ie.RemoveFar, 'Remove FAR', mandatory(Ie.FarId)),
  group(Ie.RemoveUrr, 'Remove URR', mandatory(Ie.UrrId)),
  group(Ie.RemoveQer, 'Remove QER', mandatory(Ie.QerId)),
  group(Ie.RemoveBar, 'Remove BAR', mandatory(Ie.BarId)),
  group(Ie.RemoveTrafficEndpoint, 'Remove Traffic Endpoint', mandatory(Ie.TrafficEndpointId)),
  refusedGroup(Ie.UpdateMar, 'Update MAR', []),
  refusedGroup(Ie.RemoveMar, 'Remove MAR', []),
  refusedGroup(Ie.UpdateSrr, 'Update SRR', []),
  refusedGroup(Ie.RemoveSrr, 'Remove SRR', []),
  group(Ie.QueryUrr, 'Query URR', mandatory(Ie.UrrId)),
];

const usage = (...more: readonly Member[]): readonly Member[] => [
  ...mandatory(Ie.UrrId, Ie.UrSeqn, Ie.UsageReportTrigger),
  ...conditional(Ie.StartTime, Ie.EndTime, Ie.VolumeMeasurement, Ie.DurationMeasurement),
  ...conditional(Ie.TimeOfFirstPacket, Ie.TimeOfLastPacket, Ie.UsageInformation),
  ...more,
];

export const answersAndReports: readonly Element[] = [
  group(Ie.CreatedPdr, 'Created PDR', [
    ...mandatory(Ie.PdrId),
    ...conditionalList(Ie.FTeid, Ie.UeIpAddress),
    ...conditional(Ie.LocalIngressTunnel),
  ]),
  ignoredGroup(Ie.UpdatedPdr, 'Updated PDR', [
    ...mandatory(Ie.PdrId),
    ...conditionalList(Ie.FTeid, Ie.UeIpAddress),
  ]),
  group(Ie.CreatedTrafficEndpoint, 'Created Traffic Endpoint', [
    ...mandatory(Ie.TrafficEndpointId),
    ...conditionalList(Ie.FTeid, Ie.UeIpAddress),
    ...conditional(Ie.LocalIngressTunnel),
  ]),
  group(
    Ie.UsageReportInModification,
    'Usage Report (Session Modification Response)',
    usage(...conditional(Ie.QueryUrrReference)),
  ),
  group(Ie.UsageReportInDeletion, 'Usage Report (Session Deletion Response)', usage()),
  group(
    Ie.UsageReportInReport,
    'Usage Report (Session Report Request)',
    usage(
      ...conditional(Ie.ApplicationDetectionInformation),
      ...conditionalList(Ie.UeIpAddress),
      ...conditional(Ie.NetworkInstance, Ie.QueryUrrReference, Ie.TimeStamp),
    ),
  ),
  group(Ie.DownlinkDataReport, 'Downlink Data Report', [
    ...mandatoryList(Ie.PdrId),
    ...conditionalList(Ie.DownlinkDataServiceInformation),
    ...conditional(Ie.DlDataPacketsSize, Ie.DataStatus),
  ]),
  group(Ie.ErrorIndicationReport, 'Error Indication Report', mandatoryList(Ie.FTeid)),
];
