import { openDgramTransport } from './dgram-transport.js';
import { transportContract } from './transport.contract.js';

transportContract('dgram', openDgramTransport);
