// The official Node SDK as an oracle: reads one JSON question a line, writes one JSON answer a line.
import { createInterface } from 'node:readline';
import { createRequire } from 'node:module';

const require = createRequire(process.argv[2]);
const sdk = require('@mixin.dev/mixin-node-sdk');

const build = (q) => {
  const utxos = q.inputs.map((i) => ({ asset: q.asset, transaction_hash: i.hash, output_index: i.index }));
  const recipients = q.outputs.map((o) =>
    o.destination === undefined
      ? { amount: o.amount, mixAddress: { version: 2, threshold: o.threshold, uuidMembers: o.members, xinMembers: [] } }
      : { amount: o.amount, destination: o.destination, tag: o.tag },
  );
  const ghosts = q.outputs.map((o) => (o.destination === undefined ? { mask: o.mask, keys: o.keys } : undefined));
  return sdk.buildSafeTransaction(utxos, recipients, ghosts, Buffer.from(q.extra, 'hex'), q.references);
};

const answers = {
  sign: (q) => {
    const tx = build(q);
    const unsigned = sdk.encodeSafeTransaction(tx);
    return {
      unsigned,
      hash: sdk.blake3Hash(Buffer.from(unsigned, 'hex')).toString('hex'),
      signed: sdk.signSafeTransaction(tx, q.views, q.spend, q.index),
    };
  },
  time: (q) => {
    const begun = performance.now();
    for (let i = 0; i < q.times; i += 1) sdk.signSafeTransaction(build(q), q.views, q.spend, 0);
    return { seconds: (performance.now() - begun) / 1000 };
  },
  decode: (q) => {
    const tx = sdk.decodeSafeTransaction(q.raw);
    return { asset: tx.asset, inputs: tx.inputs, outputs: tx.outputs, references: tx.references, extra: tx.extra.toString('hex') };
  },
  ghost: (q) => ({
    key: sdk.deriveGhostPublicKey(Buffer.from(q.secret, 'hex'), Buffer.from(q.view, 'hex'), Buffer.from(q.spend, 'hex'), q.index).toString('hex'),
  }),
  mix: (q) => ({
    text: sdk.buildMixAddress({ version: 2, uuidMembers: q.uuids, xinMembers: q.xins, threshold: q.threshold }),
  }),
  xin: (q) => ({ text: sdk.getMainnetAddressFromPublic(Buffer.from(q.public, 'hex')) }),
  members: (q) => ({ text: sdk.hashMembers(q.members) }),
  conversation: (q) => ({ text: sdk.uniqueConversationID(q.one, q.other) }),
  invoice: (q) => {
    const invoice = sdk.newMixinInvoice(q.recipient);
    q.entries.forEach((e) => sdk.attachInvoiceEntry(invoice, { ...e, extra: Buffer.from(e.extra, 'hex') }));
    const text = sdk.getInvoiceString(invoice);
    const back = sdk.parseMixinInvoice(text);
    return { text, count: back.entries.length };
  },
  token: (q) => ({ text: sdk.signAccessToken(q.method, q.uri, q.body, q.request, q.keystore) }),
  challenge: () => sdk.getChallenge(),
};

const lines = createInterface({ input: process.stdin });
lines.on('line', (line) => {
  const question = JSON.parse(line);
  process.stdout.write(`${JSON.stringify(answers[question.ask](question))}\n`);
});
