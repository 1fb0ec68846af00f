/** Files on their way to the object store: prepared by the service, sent straight to the store, then confirmed. */
import { request } from "./client";
import type { Prepared } from "./types";

export const MAX_FILE_BYTES = 31_457_280;

/** `base` is the address of a task's staged artifacts or of a run's artifacts; answers with the artifact's id. */
export async function upload(base: string, file: File, onProgress: (part: number) => void): Promise<string> {
  const item = { name: file.name, type: "user_attachment", source: "console", size: file.size };
  const json = { artifacts: [{ ...item, ...(file.type ? { content_type: file.type } : {}) }] };
  const asked = { method: "POST", json };
  const answer = await request<{ artifacts: [Prepared] }>(`${base}/prepare_upload/`, asked);
  const [prepared] = answer.artifacts;
  await post(prepared, file, onProgress);
  const { id, name, type, source, storage_path, content_type } = prepared;
  const done = { id, name, type, source, storage_path, content_type };
  await request(`${base}/finalize_upload/`, { method: "POST", json: { artifacts: [done] } });
  return id;
}

/** XMLHttpRequest, since fetch does not report the progress of what it sends. */
function post(prepared: Prepared, file: File, onProgress: (part: number) => void): Promise<void> {
  const form = new FormData();
  for (const [name, value] of Object.entries(prepared.presigned_post.fields)) form.append(name, value);
  form.append("file", file);
  return new Promise((resolve, reject) => {
    const sending = new XMLHttpRequest();
    sending.upload.onprogress = (event) =>
      onProgress(event.lengthComputable ? event.loaded / event.total : 0);
    sending.onload = () =>
      sending.status < 300
        ? resolve()
        : reject(new Error(`The store refused ${file.name} (${sending.status}).`));
    sending.onerror = () => reject(new Error(`${file.name} could not be uploaded.`));
    sending.open("POST", prepared.presigned_post.url);
    sending.send(form);
  });
}
