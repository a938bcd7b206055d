// Sends FILE to URL with tus-js-client, which goes on by itself after whatever breaks.
// node resume.mjs ENDPOINT FILE PATH CHUNK_BYTES
import { createReadStream, statSync } from "node:fs";
import { Upload } from "tus-js-client";

const [endpoint, file, path, chunk] = process.argv.slice(2);
const upload = new Upload(createReadStream(file), {
  endpoint,
  uploadSize: statSync(file).size,
  chunkSize: Number(chunk) || Infinity,
  metadata: { path },
  retryDelays: Array(60).fill(200),
  onProgress: (sent) => console.log(`sent ${sent}`),
  onError: (error) => { console.error(String(error)); process.exit(1); },
  onSuccess: () => { console.log("done"); process.exit(0); },
});
upload.start();
