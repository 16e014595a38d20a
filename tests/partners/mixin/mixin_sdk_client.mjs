// The official Node SDK as a client of the sandbox: runs one scenario, prints one line of JSON.
import { createRequire } from 'node:module';
import { randomUUID } from 'node:crypto';

const require = createRequire(process.argv[2]);
const asked = JSON.parse(process.argv[3]);
const sdk = require('@mixin.dev/mixin-node-sdk');
const blaze = require('@mixin.dev/mixin-node-sdk/blaze');

const { keystore, spend, url, blazeUrl, asset, receiver, friend } = asked;
const client = sdk.MixinApi({ keystore, requestConfig: { baseURL: url, retry: 1, timeout: 60000 } });
const told = {};

const transfer = async (recipients, extra) => {
  const outputs = await client.utxo.safeOutputs({ asset, members: [keystore.app_id], threshold: 1, state: 'unspent' });
  const { utxos, change } = sdk.getUnspentOutputsForRecipients(outputs, recipients);
  const all = [...recipients];
  if (!change.isZero()) {
    all.push(sdk.buildSafeTransactionRecipient(outputs[0].receivers, outputs[0].receivers_threshold, change.toString()));
  }
  const requestId = randomUUID();
  const ghosts = await client.utxo.ghostKey(all, requestId, spend);
  const tx = sdk.buildSafeTransaction(utxos, all, ghosts, Buffer.from(extra));
  const raw = sdk.encodeSafeTransaction(tx);
  const [checked] = await client.utxo.verifyTransaction([{ raw, request_id: requestId }]);
  const signed = sdk.signSafeTransaction(tx, checked.views, spend);
  const sent = await client.utxo.sendTransactions([{ raw: signed, request_id: requestId }]);
  const found = await client.utxo.fetchTransaction(requestId);
  return { requestId, state: found.state, same: found.transaction_hash === sent[0].transaction_hash, ghosts, recipients: all };
};

const refusal = async (call) => {
  try {
    await call();
    return 0;
  } catch (error) {
    return error.code;
  }
};

const listen = () =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('no message')), 120000);
    const ws = blaze.websocket(
      keystore,
      blazeUrl,
      {
        onMessage: (message) => {
          if (!message || message.category !== 'PLAIN_TEXT') return;
          clearTimeout(timer);
          resolve({ text: Buffer.from(message.data, 'base64').toString(), from: message.user_id });
        },
        onTransfer: () => {},
        onAckReceipt: () => {},
      },
      { parse: false, syncAck: true },
    );
    ws.onopen = () => blaze.sendRaw(ws, { id: randomUUID(), action: 'LIST_PENDING_MESSAGES' });
    ws.onerror = (error) => reject(new Error(error.message));
  });

const main = async () => {
  const me = await client.user.profile();
  told.me = me.user_id;
  told.registered = (await client.safe.checkRegisteration()).has_safe;
  told.assets = (await client.safe.assets()).length;
  told.symbol = (await client.safe.fetchAsset(asset)).symbol;
  told.fees = (await client.safe.fetchFee(asset, '0xabcdef0123456789')).map((fee) => fee.amount);
  const entry = { members: [keystore.app_id], threshold: 1, chain_id: asked.chain };
  told.destination = (await client.safe.depositEntries(entry))[0].destination;
  told.balance = await client.utxo.safeAssetBalance({ asset, members: [keystore.app_id], threshold: 1 });
  const done = await transfer([sdk.buildSafeTransactionRecipient([receiver], 1, '1.5')], 'from the SDK: ü&?');
  told.state = done.state;
  told.same = done.same;
  told.keys = done.ghosts.length;
  told.left = await client.utxo.safeAssetBalance({ asset, members: [keystore.app_id], threshold: 1 });
  const withdrawn = await transfer(
    [
      { amount: '0.25', destination: '0x00000000000000000000000000000000000000aa', tag: '' },
      sdk.buildSafeTransactionRecipient([sdk.MixinCashier], 1, told.fees[0]),
    ],
    'out',
  );
  told.withdrawn = withdrawn.state;
  const snapshots = await client.safe.fetchSafeSnapshots({ asset, limit: 10 });
  told.amounts = snapshots.map((snapshot) => snapshot.amount);
  told.memo = Buffer.from(snapshots.find((s) => s.amount === '-1.5').memo, 'hex').toString();
  told.one = (await client.safe.fetchSafeSnapshot(snapshots[0].snapshot_id)).snapshot_id === snapshots[0].snapshot_id;
  const since = await client.safe.fetchSafeSnapshots({ offset: snapshots[1].created_at, limit: 10, order: 'ASC' });
  told.since = since.length;
  told.unknown = await refusal(() => client.utxo.fetchTransaction(randomUUID()));
  const stranger = sdk.MixinApi({
    keystore: { ...keystore, session_private_key: '11'.repeat(32) },
    requestConfig: { baseURL: url, retry: 1, timeout: 60000 },
  });
  told.stranger = await refusal(() => stranger.user.profile());
  const thief = sdk.MixinApi({ keystore: friend, requestConfig: { baseURL: url, retry: 1, timeout: 60000 } });
  told.thief = (await thief.utxo.safeOutputs({ asset, state: 'unspent' })).length;
  const waiting = listen();
  await thief.message.sendText(keystore.app_id, 'hello bot');
  told.message = await waiting;
};

main().then(
  () => {
    process.stdout.write(`${JSON.stringify(told)}\n`);
    // The acknowledgement is on its way: whoever asked says when it has come.
    process.stdin.on('end', () => process.exit(0)).resume();
  },
  (error) => {
    process.stderr.write(`${error.stack}\n`);
    process.exit(1);
  },
);
