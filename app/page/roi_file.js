// roi.json: where images count, as training reads it (training/data/polygons.py, docs/training.md).

const KINDS = ["include", "ignore"];
const MOST_CORNERS = 1000;
const MOST_STRETCHED = 1.05;

/** The areas of a file, { kind, corners }, with corners in shares of an image of `size`. Throws an Error that says what is wrong. */
export function readRoi(text, size) {
  const content = parse(text);
  const { image } = content;
  if (!isSide(image?.width) || !isSide(image?.height)) throw new Error("It doesn't say of which size its image is.");
  const stretched = (image.width * size.height) / (image.height * size.width);
  if (Math.max(stretched, 1 / stretched) > MOST_STRETCHED) throw new Error(`It is for images of ${image.width}×${image.height}, and this one is ${size.width}×${size.height}.`);
  const areas = KINDS.flatMap((kind) => polygons(content, kind).map((points, index) => ({ kind, corners: corners(points, image, `Area ${index + 1} of ${kind}`) })));
  if (!areas.length) throw new Error("It has no area, neither under include nor under ignore.");
  return areas;
}

/** The file's text of areas that were drawn, with corners in pixels of an image of `size`. */
export function roiText(areas, { width, height }, inPixels) {
  const drawn = (name) => areas.filter(({ kind }) => kind === name).map(({ corners }) => corners.map(inPixels));
  return JSON.stringify({ image: { width, height }, include: drawn("include"), ignore: drawn("ignore") });
}

/** Whether two edges cross; touching is no crossing. As training has it. */
export function crossesItself(corners) {
  const edges = corners.map((corner, index) => [corner, corners[(index + 1) % corners.length]]);
  const side = ([[ax, ay], [bx, by]], [x, y]) => Math.sign((bx - ax) * (y - ay) - (by - ay) * (x - ax));
  const parts = (edge, [start, end]) => side(edge, start) * side(edge, end) < 0;
  return edges.some((one, index) => edges.slice(index + 1).some((other) => parts(one, other) && parts(other, one)));
}

function parse(text) {
  try {
    const content = JSON.parse(text);
    if (content && typeof content === "object") return content;
  } catch {
    // said below
  }
  throw new Error("It isn't a roi.json.");
}

const isSide = (value) => Number.isInteger(value) && value > 0 && value <= 1_000_000;

function polygons(content, kind) {
  const found = content[kind] ?? [];
  if (!Array.isArray(found)) throw new Error(`What is under ${kind} isn't a list of areas.`);
  return found;
}

function corners(points, image, name) {
  if (!Array.isArray(points) || points.length < 3 || points.length > MOST_CORNERS) throw new Error(`${name} isn't a list of 3 to ${MOST_CORNERS} corners.`);
  const within = (value, most) => typeof value === "number" && value >= 0 && value <= most;
  for (const point of points) if (point?.length !== 2 || !within(point[0], image.width) || !within(point[1], image.height)) throw new Error(`${name} has a corner outside its image: ${JSON.stringify(point)}.`);
  if (crossesItself(points)) throw new Error(`${name} crosses itself, so that its inside isn't said.`);
  return points.map(([x, y]) => [x / image.width, y / image.height]);
}
