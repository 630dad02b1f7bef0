/** Groups of node messages, and those that Sluice does not look into. Source: TS 29.244. */
import * as Ie from '../ie.js';
import {
  conditional,
  conditionalList,
  type Element,
  group,
  ignoredGroup,
  mandatory,
  mandatoryList,
  optional,
  optionalList,
  refusedGroup,
} from './element.js';

export const nodeGroups: readonly Element[] = [
  group(
    Ie.LoadControlInformation,
    'Load Control Information',
    mandatory(Ie.SequenceNumber, Ie.Metric),
  ),
  group(Ie.OverloadControlInformation, 'Overload Control Information', [
    ...mandatory(Ie.SequenceNumber, Ie.Metric, Ie.Timer),
    ...conditional(Ie.OciFlags),
  ]),
  group(Ie.ApplicationIdsPfds, "Application ID's PFDs", [
    ...mandatory(Ie.ApplicationId),
    ...conditionalList(Ie.PfdContext),
  ]),
  group(Ie.PfdContext, 'PFD Context', mandatoryList(Ie.PfdContents)),
  group(
    Ie.PfcpSessionRetentionInformation,
    'PFCP Session Retention Information',
    optionalList(Ie.CpPfcpEntityIpAddress),
  ),
  group(
    Ie.UserPlanePathFailureReport,
    'User Plane Path Failure Report',
    mandatoryList(Ie.RemoteGtpUPeer),
  ),
  group(
    Ie.UserPlanePathRecoveryReport,
    'User Plane Path Recovery Report',
    mandatoryList(Ie.RemoteGtpUPeer),
  ),
];

export const otherGroups: readonly Element[] = [
  refusedGroup(Ie.AggregatedUrrs, 'Aggregated URRs', mandatory(Ie.AggregatedUrrId, Ie.Multiplier)),
  group(Ie.ApplicationDetectionInformation, 'Application Detection Information', [
    ...mandatory(Ie.ApplicationId),
    ...conditional(Ie.ApplicationInstanceId, Ie.FlowInformation),
  ]),
  ignoredGroup(Ie.UeIpAddressPoolInformation, 'UE IP Address Pool Information', [
    ...mandatoryList(Ie.UeIpAddressPoolIdentity),
    ...optional(Ie.NetworkInstance),
    ...optionalList(Ie.SNssai),
    ...optional(Ie.IpVersion),
  ]),
  refusedGroup(Ie.IpMulticastAddressingInfo, 'IP Multicast Addressing Info', [
    ...mandatory(Ie.IpMulticastAddress),
    ...optionalList(Ie.SourceIpAddress),
  ]),
  refusedGroup(Ie.EthernetPacketFilter, 'Ethernet Packet Filter', []),
  refusedGroup(Ie.EthernetPduSessionInformation, 'Ethernet PDU Session Information', []),
  ...(
    [
      [Ie.CreateBridgeInfoForTsc, 'Create Bridge Info for TSC'],
      [Ie.ProvideAtsssControlInformation, 'Provide ATSSS Control Information'],
      [Ie.ProvideRdsConfigurationInformation, 'Provide RDS Configuration Information'],
      [Ie.RedundantTransmissionDetectionParameters, 'Redundant Transmission Detection Parameters'],
      [
        Ie.RedundantTransmissionForwardingParameters,
        'Redundant Transmission Forwarding Parameters',
      ],
      [Ie.L2tpTunnelInformation, 'L2TP Tunnel Information'],
      [Ie.L2tpSessionInformation, 'L2TP Session Information'],
      [Ie.MbsMulticastParameters, 'MBS Multicast Parameters'],
      [Ie.AddMbsUnicastParameters, 'Add MBS Unicast Parameters'],
      [Ie.RemoveMbsUnicastParameters, 'Remove MBS Unicast Parameters'],
      [Ie.MbsSessionN4mbControlInformation, 'MBS Session N4mb Control Information'],
      [Ie.MbsSessionN4ControlInformation, 'MBS Session N4 Control Information'],
    ] as const
  ).map(([type, name]) => refusedGroup(type, name, [])),
  ...(
    [
      [Ie.EthernetTrafficInformation, 'Ethernet Traffic Information'],
      [Ie.AccessForwardingActionInformation1, 'Access Forwarding Action Information 1'],
      [Ie.AccessForwardingActionInformation2, 'Access Forwarding Action Information 2'],
      [
        Ie.UpdateAccessForwardingActionInformation1,
        'Update Access Forwarding Action Information 1',
      ],
      [
        Ie.UpdateAccessForwardingActionInformation2,
        'Update Access Forwarding Action Information 2',
      ],
      [Ie.JoinIpMulticastInformation, 'Join IP Multicast Information'],
      [Ie.LeaveIpMulticastInformation, 'Leave IP Multicast Information'],
      [Ie.CreatedBridgeInfoForTsc, 'Created Bridge Info for TSC'],
      [
        Ie.TscManagementInformationInModification,
        'TSC Management Information (Session Modification Request)',
      ],
      [
        Ie.TscManagementInformationInModificationResponse,
        'TSC Management Information (Session Modification Response)',
      ],
      [Ie.TscManagementInformationInReport, 'TSC Management Information (Session Report Request)'],
      [Ie.ClockDriftControlInformation, 'Clock Drift Control Information'],
      [Ie.ClockDriftReport, 'Clock Drift Report'],
      [Ie.SessionReport, 'Session Report'],
      [Ie.AccessAvailabilityControlInformation, 'Access Availability Control Information'],
      [Ie.AccessAvailabilityReport, 'Access Availability Report'],
      [Ie.AtsssControlParameters, 'ATSSS Control Parameters'],
      [Ie.MptcpParameters, 'MPTCP Parameters'],
      [Ie.AtsssLlParameters, 'ATSSS-LL Parameters'],
      [Ie.PmfParameters, 'PMF Parameters'],
      [Ie.GtpUPathQosControlInformation, 'GTP-U Path QoS Control Information'],
      [Ie.GtpUPathQosReport, 'GTP-U Path QoS Report'],
      [Ie.QosInformationInGtpUPathQosReport, 'QoS Information in GTP-U Path QoS Report'],
      [
        Ie.QosMonitoringPerQosFlowControlInformation,
        'QoS Monitoring per QoS flow Control Information',
      ],
      [Ie.QosMonitoringReport, 'QoS Monitoring Report'],
      [Ie.EthernetContextInformation, 'Ethernet Context Information'],
      [
        Ie.PacketRateStatusReportInDeletion,
        'Packet Rate Status Report (Session Deletion Response)',
      ],
      [Ie.QueryPacketRateStatus, 'Query Packet Rate Status'],
      [
        Ie.PacketRateStatusReportInModification,
        'Packet Rate Status Report (Session Modification Response)',
      ],
      [Ie.UeIpAddressUsageInformation, 'UE IP Address Usage Information'],
      [Ie.PartialFailureInformation, 'Partial Failure Information'],
      [
        Ie.PartialFailureInformationInModification,
        'Partial Failure Information (Session Modification Response)',
      ],
      [Ie.CreatedL2tpSession, 'Created L2TP Session'],
      [Ie.PfcpSessionChangeInfo, 'PFCP Session Change Info'],
      [Ie.DirectReportingInformation, 'Direct Reporting Information'],
      [Ie.MbsSessionN4mbInformation, 'MBS Session N4mb Information'],
      [Ie.MbsSessionN4Information, 'MBS Session N4 Information'],
      [Ie.PeerUpRestartReport, 'Peer UP Restart Report'],
      [Ie.DscpToPpiControlInformation, 'DSCP to PPI Control Information'],
    ] as const
  ).map(([type, name]) => ignoredGroup(type, name, [])),
];
