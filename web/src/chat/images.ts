/** Images that the person gives, as data: URLs. */

const kinds = ["image/png", "image/jpeg", "image/gif", "image/webp"];

/** The server takes requests of 32 MB; base64 makes a file a third longer. */
const maxBytes = 20 << 20;

export interface Taken {
  urls: string[];
  problem: string; // a sentence on what was left out; "" when nothing was
}

/** takeFiles reads the images among files that were chosen, pasted or dropped. */
export async function takeFiles(files: Iterable<File>): Promise<Taken> {
  const taken: Taken = { urls: [], problem: "" };
  for (const file of files) {
    if (!kinds.includes(file.type)) taken.problem = `${file.name} is not an image that the models take: PNG, JPEG, GIF or WebP.`;
    else if (file.size > maxBytes) taken.problem = `${file.name} is larger than 20 MB.`;
    else taken.urls.push(await dataURL(file));
  }
  return taken;
}

function dataURL(file: File): Promise<string> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(file);
  });
}
