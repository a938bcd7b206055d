// A server on npm's ssh2: node ssh2_server.js PORT HOST_KEY AUTHORIZED_KEYS PASSWORD HOW
//
// HOW is `ordered`: a request is done before the next one is looked at; or `concurrent`: as the asynchronous
// calls of fs suggest, each is answered when it is done, whatever came before it.
'use strict';

const fs = require('fs');
const path = require('path');
const { Server, utils } = require('ssh2');
const { OPEN_MODE, STATUS_CODE } = utils.sftp;

const [port, hostKey, authorizedKeys, password, how] = process.argv.slice(2);

const CODES = { ENOENT: STATUS_CODE.NO_SUCH_FILE, EACCES: STATUS_CODE.PERMISSION_DENIED,
                EPERM: STATUS_CODE.PERMISSION_DENIED };

// Calls fs[NAME], and then DONE, in one of the two ways.
function perform(name, ...rest) {
  const done = rest.pop();
  if (how === 'concurrent') return fs[name](...rest, done);
  let result;
  try {
    result = fs[name + 'Sync'](...rest);
  } catch (error) {
    return done(error);
  }
  done(null, result);
}

function flagsOf(asked) {
  const writes = asked & OPEN_MODE.WRITE;
  const reads = asked & OPEN_MODE.READ;
  const has = (bit, flag) => (asked & bit ? flag : 0);
  return (writes && reads ? fs.constants.O_RDWR : writes ? fs.constants.O_WRONLY : fs.constants.O_RDONLY) |
    has(OPEN_MODE.CREAT, fs.constants.O_CREAT) | has(OPEN_MODE.TRUNC, fs.constants.O_TRUNC) |
    has(OPEN_MODE.EXCL, fs.constants.O_EXCL) | has(OPEN_MODE.APPEND, fs.constants.O_APPEND);
}

function attributes(stats) {
  return { mode: stats.mode, uid: stats.uid, gid: stats.gid, size: stats.size,
           atime: Math.floor(stats.atimeMs / 1000), mtime: Math.floor(stats.mtimeMs / 1000) };
}

function serve(sftp) {
  const open = new Map();  // by number: a descriptor, or what of a directory was not told yet
  let last = 0;

  const keep = (id, what) => {
    const handle = Buffer.alloc(4);
    handle.writeUInt32BE(++last);
    open.set(last, what);
    sftp.handle(id, handle);
  };
  const numberOf = (handle) => handle.readUInt32BE(0);
  const status = (id) => (error) =>
    sftp.status(id, error ? CODES[error.code] ?? STATUS_CODE.FAILURE : STATUS_CODE.OK, error?.message);
  const either = (id, tell) => (error, result) => (error ? status(id)(error) : tell(result));

  sftp.on('OPEN', (id, name, asked, given) =>
    perform('open', name, flagsOf(asked), given.mode ?? 0o666, either(id, (descriptor) => keep(id, descriptor))));
  sftp.on('READ', (id, handle, offset, length) => {
    const buffer = Buffer.alloc(length);
    perform('read', open.get(numberOf(handle)), buffer, 0, length, offset, either(id, (count) =>
      count ? sftp.data(id, buffer.subarray(0, count)) : sftp.status(id, STATUS_CODE.EOF)));
  });
  sftp.on('WRITE', (id, handle, offset, data) =>
    perform('write', open.get(numberOf(handle)), data, 0, data.length, offset, status(id)));
  sftp.on('FSTAT', (id, handle) =>
    perform('fstat', open.get(numberOf(handle)), either(id, (stats) => sftp.attrs(id, attributes(stats)))));
  sftp.on('FSETSTAT', (id, handle, wanted) => change(id, open.get(numberOf(handle)), wanted, 'f'));
  sftp.on('SETSTAT', (id, name, wanted) => change(id, name, wanted, ''));
  sftp.on('CLOSE', (id, handle) => {
    const what = open.get(numberOf(handle));
    open.delete(numberOf(handle));
    if (typeof what !== 'number') return status(id)(null);
    perform('close', what, status(id));
  });
  sftp.on('OPENDIR', (id, name) => perform('readdir', name, either(id, (names) => keep(id, { name, names }))));
  sftp.on('READDIR', (id, handle) => {
    const directory = open.get(numberOf(handle));
    const names = directory.names.splice(0, 100);
    if (names.length === 0) return sftp.status(id, STATUS_CODE.EOF);
    sftp.name(id, names.map((filename) => ({
      filename, longname: filename, attrs: attributes(fs.lstatSync(path.join(directory.name, filename))) })));
  });
  sftp.on('STAT', (id, name) => perform('stat', name, either(id, (stats) => sftp.attrs(id, attributes(stats)))));
  sftp.on('LSTAT', (id, name) => perform('lstat', name, either(id, (stats) => sftp.attrs(id, attributes(stats)))));
  sftp.on('REMOVE', (id, name) => perform('unlink', name, status(id)));
  sftp.on('RMDIR', (id, name) => perform('rmdir', name, status(id)));
  sftp.on('MKDIR', (id, name) => perform('mkdir', name, status(id)));
  sftp.on('RENAME', (id, from, to) => perform('rename', from, to, status(id)));
  sftp.on('REALPATH', (id, name) =>
    sftp.name(id, [{ filename: path.resolve(name), longname: path.resolve(name), attrs: {} }]));

  function change(id, what, wanted, kind) {
    if (wanted.mode !== undefined) return perform(kind + 'chmod', what, wanted.mode, status(id));
    if (wanted.size !== undefined) return perform(kind + 'truncate', what, wanted.size, status(id));
    if (wanted.mtime !== undefined) {
      return perform(kind + 'utimes', what, wanted.atime, wanted.mtime, status(id));
    }
    status(id)(null);
  }
}

function mayLogIn(context) {
  if (context.method === 'password') return context.password === password;
  if (context.method !== 'publickey') return false;
  const known = utils.parseKey(fs.readFileSync(authorizedKeys));
  return known.getPublicSSH().equals(context.key.data) &&
    (!context.signature || known.verify(context.blob, context.signature, context.hashAlgo) === true);
}

new Server({ hostKeys: [fs.readFileSync(hostKey)] }, (client) => {
  client.on('error', () => {});
  client.on('authentication', (context) =>
    mayLogIn(context) ? context.accept() : context.reject(['publickey', 'password']));
  client.on('session', (accept) => accept().on('sftp', (acceptSftp) => serve(acceptSftp())));
}).listen(Number(port), '127.0.0.1');
