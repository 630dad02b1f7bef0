import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Server } from '@grpc/grpc-js';
import type { PackageDefinition } from '@grpc/proto-loader';
import { ReflectionService } from '@grpc/reflection';
import { protoPath as healthProtoPath } from 'grpc-health-check';
import { PROTO_FILE, PROTO_FOLDER } from '../proto-files.js';
import { fileDescriptors } from './descriptors.js';

const REFLECTION_VERSIONS = ['v1', 'v1alpha'];

/** Server reflection, v1 and v1alpha, over everything that this server offers. */
export function addReflection(server: Server): void {
  const require = createRequire(fileURLToPath(import.meta.url));
  const reflectionFolder = path.join(path.dirname(require.resolve('@grpc/reflection')), '../proto');
  const descriptors = fileDescriptors(
    [
      PROTO_FILE,
      'health/v1/health.proto',
      ...REFLECTION_VERSIONS.map((version) => `grpc/reflection/${version}/reflection.proto`),
    ],
    [PROTO_FOLDER, path.resolve(healthProtoPath, '../../..'), reflectionFolder],
  );
  // The service reads nothing of a package definition but its file descriptors.
  const root = { files: { fileDescriptorProtos: descriptors } } as unknown as PackageDefinition;
  new ReflectionService(root).addToServer(server);
}
