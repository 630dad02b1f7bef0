/**
 * Server reflection: what a generic client asks for to learn the API from the server alone.
 * fileDescriptors() here, the service in reflection.ts. Threads: the control thread, once at start.
 */
import { existsSync } from 'node:fs';
import path from 'node:path';
import protobuf from 'protobufjs';
import descriptor from 'protobufjs/ext/descriptor/index.js';

/** Files of google.protobuf that protobufjs carries inside and hence has no file name for. */
const BUNDLED: Readonly<Record<string, string>> = {
  '.google.protobuf.Any': 'google/protobuf/any.proto',
  '.google.protobuf.Duration': 'google/protobuf/duration.proto',
  '.google.protobuf.Timestamp': 'google/protobuf/timestamp.proto',
};

const SCALARS: Readonly<Record<string, number>> = {
  double: 1,
  float: 2,
  int64: 3,
  uint64: 4,
  int32: 5,
  fixed64: 6,
  fixed32: 7,
  bool: 8,
  string: 9,
  bytes: 12,
  uint32: 13,
  sfixed32: 15,
  sfixed64: 16,
  sint32: 17,
  sint64: 18,
};
const TYPE_MESSAGE = 11;
const TYPE_ENUM = 14;
const LABEL_OPTIONAL = 1;
const LABEL_REPEATED = 3;

type Proto = Record<string, unknown>;

/**
 * FileDescriptorProtos of proto files and all that they import, as protoc would write them:
 * with file names, dependencies, map entries and optional marks, which the descriptors of
 * @grpc/proto-loader lack and strict reflection clients refuse to do without.
 *
 * @param files names relative to one of `folders`.
 */
export function fileDescriptors(files: readonly string[], folders: readonly string[]): Buffer[] {
  const nameOfPath = new Map<string, string>();
  const root = new protobuf.Root();
  root.resolvePath = (_origin, target) => {
    const folder = folders.find((candidate) => existsSync(path.join(candidate, target)));
    if (folder === undefined) return target;
    const file = path.join(folder, target);
    nameOfPath.set(file, target);
    return file;
  };
  root.loadSync([...files], { keepCase: true });
  root.resolveAll();
  const fileOf = (object: protobuf.ReflectionObject): string =>
    BUNDLED[object.fullName] ?? nameOfPath.get(object.filename ?? '') ?? '';
  const writers = new Map<string, FileWriter>();
  visit(root, (object) => {
    const file = fileOf(object);
    const writer = writers.get(file) ?? new FileWriter(file, fileOf);
    writers.set(file, writer);
    writer.add(object);
  });
  return [...writers.values()].map((writer) => writer.encode());
}

/** Top-level messages, enums and services of every package. */
function visit(
  space: protobuf.NamespaceBase,
  see: (object: protobuf.Type | protobuf.Enum | protobuf.Service) => void,
): void {
  for (const object of space.nestedArray) {
    if (
      object instanceof protobuf.Type ||
      object instanceof protobuf.Enum ||
      object instanceof protobuf.Service
    ) {
      see(object);
    } else if (object instanceof protobuf.Namespace) {
      visit(object, see);
    }
  }
}

class FileWriter {
  readonly #name: string;
  readonly #fileOf: (object: protobuf.ReflectionObject) => string;
  readonly #dependencies = new Set<string>();
  readonly #messages: Proto[] = [];
  readonly #enums: Proto[] = [];
  readonly #services: Proto[] = [];
  #package = '';

  constructor(name: string, fileOf: (object: protobuf.ReflectionObject) => string) {
    this.#name = name;
    this.#fileOf = fileOf;
  }

  add(object: protobuf.Type | protobuf.Enum | protobuf.Service): void {
    this.#package = object.parent?.fullName.slice(1) ?? '';
    if (object instanceof protobuf.Type) this.#messages.push(this.#message(object));
    else if (object instanceof protobuf.Enum) this.#enums.push(enumeration(object));
    else this.#services.push(this.#service(object));
  }

  encode(): Buffer {
    const message = descriptor.FileDescriptorProto.fromObject({
      name: this.#name,
      package: this.#package,
      dependency: [...this.#dependencies].sort(),
      messageType: this.#messages,
      enumType: this.#enums,
      service: this.#services,
      syntax: 'proto3',
    });
    return Buffer.from(descriptor.FileDescriptorProto.encode(message).finish());
  }

  /** The absolute name of a type, whose file becomes a dependency. */
  #reference(type: protobuf.ReflectionObject): string {
    let top = type;
    while (top.parent instanceof protobuf.Type) top = top.parent;
    const file = this.#fileOf(top);
    if (file !== this.#name) this.#dependencies.add(file);
    return type.fullName;
  }

  #message(type: protobuf.Type): Proto {
    // Synthetic oneofs of optional fields come behind the real ones.
    const oneofs = type.oneofsArray.filter((oneof) => !isSynthetic(oneof));
    oneofs.push(...type.oneofsArray.filter(isSynthetic));
    const nested = type.nestedArray.filter((item) => item instanceof protobuf.Type);
    const entries = type.fieldsArray.filter((field) => field instanceof protobuf.MapField);
    return {
      name: type.name,
      field: type.fieldsArray.map((field) => this.#field(field, oneofs)),
      oneofDecl: oneofs.map((oneof) => ({ name: oneof.name })),
      nestedType: [
        ...nested.map((item) => this.#message(item)),
        ...entries.map((field) => this.#entry(field)),
      ],
      enumType: type.nestedArray.filter((item) => item instanceof protobuf.Enum).map(enumeration),
    };
  }

  #field(field: protobuf.Field, oneofs: readonly protobuf.OneOf[]): Proto {
    field.resolve();
    const base: Proto = {
      name: field.name,
      jsonName: protobuf.util.camelCase(field.name),
      number: field.id,
      label: field.repeated || field.map ? LABEL_REPEATED : LABEL_OPTIONAL,
    };
    if (field instanceof protobuf.MapField) {
      const typeName = `${field.parent?.fullName}.${entryName(field)}`;
      return { ...base, type: TYPE_MESSAGE, typeName };
    }
    if (field.partOf !== null) base.oneofIndex = oneofs.indexOf(field.partOf);
    if (field.options?.proto3_optional === true) base.proto3Optional = true;
    return { ...base, ...this.#type(field.type, field.resolvedType) };
  }

  #type(name: string, resolved: protobuf.ReflectionObject | null): Proto {
    if (resolved === null) return { type: SCALARS[name] };
    const type = resolved instanceof protobuf.Enum ? TYPE_ENUM : TYPE_MESSAGE;
    return { type, typeName: this.#reference(resolved) };
  }

  #entry(field: protobuf.MapField): Proto {
    const value = { name: 'value', jsonName: 'value', number: 2, label: LABEL_OPTIONAL };
    return {
      name: entryName(field),
      field: [
        {
          name: 'key',
          jsonName: 'key',
          number: 1,
          label: LABEL_OPTIONAL,
          type: SCALARS[field.keyType],
        },
        { ...value, ...this.#type(field.type, field.resolvedType) },
      ],
      options: { mapEntry: true },
    };
  }

  #service(service: protobuf.Service): Proto {
    return {
      name: service.name,
      method: service.methodsArray.map((method) => {
        method.resolve();
        return {
          name: method.name,
          inputType: this.#reference(method.resolvedRequestType as protobuf.Type),
          outputType: this.#reference(method.resolvedResponseType as protobuf.Type),
          clientStreaming: method.requestStream === true,
          serverStreaming: method.responseStream === true,
        };
      }),
    };
  }
}

function isSynthetic(oneof: protobuf.OneOf): boolean {
  return oneof.fieldsArray.some((field) => field.options?.proto3_optional === true);
}

function entryName(field: protobuf.MapField): string {
  const camel = protobuf.util.camelCase(field.name);
  return `${camel.charAt(0).toUpperCase()}${camel.slice(1)}Entry`;
}

function enumeration(type: protobuf.ReflectionObject): Proto {
  const { values, name } = type as protobuf.Enum;
  return {
    name,
    value: Object.entries(values).map(([key, number]) => ({ name: key, number })),
  };
}
