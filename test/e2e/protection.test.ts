import { protectedN9 } from './protected-n9.contract.js';

protectedN9('inline');
