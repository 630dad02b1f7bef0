import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import descriptor from 'protobufjs/ext/descriptor/index.js';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { fileDescriptors } from './descriptors.js';

const folder = mkdtempSync(path.join(tmpdir(), 'sluice-proto-'));
let files: Record<string, Record<string, unknown>>;

beforeAll(() => {
  writeFileSync(
    path.join(folder, 'a.proto'),
    `syntax = "proto3"; package x.y;
     import "b.proto"; import "google/protobuf/duration.proto";
     enum Colour { COLOUR_NONE = 0; COLOUR_RED = 7; }
     message A {
       optional uint32 one = 1;
       oneof choice { string two = 2; B three = 3; }
       map<string, z.Other> long_name = 4;
       repeated Colour colours = 5;
       google.protobuf.Duration span = 6;
       message B { sint64 s = 1; }
     }
     service S { rpc Get(A) returns (stream z.Other); }`,
  );
  writeFileSync(
    path.join(folder, 'b.proto'),
    'syntax = "proto3"; package z; message Other { bytes data = 1; }',
  );
  files = Object.fromEntries(
    fileDescriptors(['a.proto'], [folder]).map((bytes) => {
      const message = descriptor.FileDescriptorProto.decode(bytes);
      const plain = descriptor.FileDescriptorProto.toObject(message, { enums: Number });
      return [String(plain.name), plain];
    }),
  );
});
afterAll(() => rmSync(folder, { recursive: true }));

it('has each file under the name that importers write, with what it depends on', () => {
  expect(Object.keys(files).sort()).toEqual([
    'a.proto',
    'b.proto',
    'google/protobuf/duration.proto',
  ]);
  expect(files['a.proto']).toMatchObject({
    package: 'x.y',
    syntax: 'proto3',
    dependency: ['b.proto', 'google/protobuf/duration.proto'],
  });
});

it('marks optional fields and keeps their oneofs behind the real ones', () => {
  const [message] = (files['a.proto']?.messageType ?? []) as Record<string, unknown>[];
  expect(message?.oneofDecl).toEqual([{ name: 'choice' }, { name: '_one' }]);
  expect(message?.field).toMatchObject([
    { name: 'one', number: 1, oneofIndex: 1, proto3Optional: true },
    { name: 'two', number: 2, oneofIndex: 0 },
    { name: 'three', number: 3, oneofIndex: 0, typeName: '.x.y.A.B' },
    { name: 'long_name', jsonName: 'longName', label: 3, typeName: '.x.y.A.LongNameEntry' },
    { name: 'colours', label: 3, type: 14, typeName: '.x.y.Colour' },
    { name: 'span', typeName: '.google.protobuf.Duration' },
  ]);
  expect(message?.nestedType).toMatchObject([
    { name: 'B', field: [{ name: 's', type: 18 }] },
    {
      name: 'LongNameEntry',
      options: { mapEntry: true },
      field: [
        { name: 'key', type: 9 },
        { name: 'value', type: 11, typeName: '.z.Other' },
      ],
    },
  ]);
});

it('has enums and the streams of methods', () => {
  expect(files['a.proto']).toMatchObject({
    enumType: [
      {
        name: 'Colour',
        value: [
          { name: 'COLOUR_NONE', number: 0 },
          { name: 'COLOUR_RED', number: 7 },
        ],
      },
    ],
    service: [
      {
        name: 'S',
        method: [
          { name: 'Get', inputType: '.x.y.A', outputType: '.z.Other', serverStreaming: true },
        ],
      },
    ],
  });
});
