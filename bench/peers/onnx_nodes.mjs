// How many nodes of each operator an ONNX file has: { Conv: 20, ... }. Reads the protobuf wire format: field 7 of the model is
// the graph, its field 1 a node, whose field 4 is the operator.
function* fields(bytes) {
  let at = 0;
  const varint = () => {
    let value = 0, factor = 1;
    for (;;) {
      const byte = bytes[at++];
      value += (byte & 127) * factor;
      if (byte < 128) return value;
      factor *= 128;
    }
  };
  while (at < bytes.length) {
    const key = varint();
    const wire = key % 8, field = Math.floor(key / 8);
    if (wire === 0) varint();
    else if (wire === 1) at += 8;
    else if (wire === 5) at += 4;
    else if (wire === 2) {
      const length = varint();
      yield { field, bytes: bytes.subarray(at, at + length) };
      at += length;
    } else throw new Error(`wire type ${wire} in an ONNX file`);
  }
}

export function nodeTypes(model) {
  const counts = {};
  for (const graph of fields(model)) {
    if (graph.field !== 7) continue;
    for (const node of fields(graph.bytes)) {
      if (node.field !== 1) continue;
      for (const part of fields(node.bytes)) {
        if (part.field !== 4) continue;
        const type = Buffer.from(part.bytes).toString();
        counts[type] = (counts[type] ?? 0) + 1;
      }
    }
  }
  return counts;
}
