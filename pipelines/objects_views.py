"""Objects, stage 1: a mesh and posed pictures, checked against each other and brought into one frame."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipelines.core.errors import AnrError
from pipelines.core.options import option
from pipelines.core.stage import Job, Outcome, Progress, Stage
from pipelines.core.storage import write_json

if TYPE_CHECKING:
    from pipelines.core.records import Camera
    from pipelines.rigid.mesh import ObjectMesh
    from pipelines.rigid.posed import PosedPicture

SHEET_VIEWS = 8
SHARED_TOLD = 0.02                      # share of the texture in use that several places lie on, from which it is told


@dataclass(frozen=True)
class ObjectViewsOptions:
    mesh: str = option("", "The object: an .obj, .glb or .gltf with texture coordinates.", file=True)
    views: str = option("", "Folder of pictures with cameras: transforms.json (NeRF, Instant-NGP) or COLMAP's text "
                            "files.", file=True)
    masks: str = option("", "Folder of masks named like the pictures, white where the object is; else the pictures' "
                            "alpha channel, else the mesh's outline.", file=True)
    mesh_axes: str = option("same", "same: mesh and cameras have the same axes; gltf: the mesh is y up and the cameras "
                                    "z up, as Blender exports a .glb.")
    up: str = option("auto", "Which way of the cameras' world is up: x, y, z, -x, -y, -z; auto asks the cameras.")


def run(job: Job) -> Outcome:
    from pipelines.rigid.frames import LEAST_VIEWS
    from pipelines.rigid.mesh import read_mesh, repeating, shared_texture, write_mesh
    from pipelines.rigid.posed import FILE, read_posed, transforms_of
    from pipelines.rigid.scene import axes_of, moved_camera, standing_of

    options: ObjectViewsOptions = job.options
    folder = Path(options.views)
    raw, posed = read_mesh(Path(options.mesh)), read_posed(folder)
    if len(posed) < LEAST_VIEWS:
        raise AnrError(f"{folder} has {len(posed)} pictures; an object needs {LEAST_VIEWS} or more.",
                       hint="Photograph it from more sides.")
    _check_sizes(posed)
    masks = _mask_files(Path(options.masks), posed) if options.masks else None
    mesh = axes_of(raw, options.mesh_axes)
    standing = standing_of(mesh, [each.camera for each in posed], options.up)
    cameras, origin = _write_pictures(job, mesh, posed, masks)
    if origin != OUTLINE:
        _check_masks(job, raw, cameras)
    own = mesh.moved(standing.matrix)
    stood = [moved_camera(camera, standing) for camera in cameras]
    write_mesh(job.folder / "mesh.npz", own)
    write_json(job.folder / FILE, transforms_of(stood, [_name(k) for k in range(len(stood))]))
    shared = shared_texture(own)
    _tell(job.progress, shared, float(repeating(own).mean()), origin, standing.up)
    write_json(job.folder / "views.json", {
        "names": [each.path.relative_to(folder).as_posix() for each in posed], "masks": origin, "up": standing.up,
        "world_to_object": standing.matrix.tolist(), "materials": own.tiles, "shared_texture": round(shared, 4)})
    _write_sheet(job.folder, own, stood)
    return Outcome({"views": float(len(posed)), "triangles": float(len(own.faces)), "materials": float(own.tiles),
                    "shared_texture": round(shared, 4)}, {"sheet": "views.jpg", "cameras": FILE})


OUTLINE = "the mesh's outline"


def _name(index: int) -> str:
    return f"images/{index:05d}.png"


def _check_sizes(posed: list[PosedPicture]) -> None:
    first = posed[0]
    for each in posed:
        if (each.camera.width, each.camera.height) != (first.camera.width, first.camera.height):
            raise AnrError(f"{each.path} is {each.camera.width}x{each.camera.height}, but {first.path.name} is "
                           f"{first.camera.width}x{first.camera.height}: the views of an object have one size.",
                           hint="Take the odd ones out of the list.")


def _mask_files(folder: Path, posed: list[PosedPicture]) -> list[Path]:
    """A mask for each picture: its own name, its stem, or its whole name with .png behind it (as COLMAP has it)."""
    if not folder.is_dir():
        raise AnrError(f"There is no folder {folder}.", hint="--masks names a folder of pictures.")
    found = []
    for each in posed:
        names = (f"{each.path.stem}.png", each.path.name, f"{each.path.name}.png", f"{each.path.stem}.jpg")
        mask = next((folder / name for name in names if (folder / name).exists()), None)
        if mask is None:
            raise AnrError(f"{folder} has no mask for {each.path.name}.", hint=f"Name it {each.path.stem}.png.")
        found.append(mask)
    return found


def _write_pictures(job: Job, mesh: ObjectMesh, posed: list[PosedPicture],
                    masks: list[Path] | None) -> tuple[list[Camera], str]:
    """Writes every picture straightened and with alpha; the pinhole cameras, and where alpha came from."""
    from pipelines.geometry.lenses import straightener
    from pipelines.media.images import write_image
    from pipelines.rigid.surface import object_maps

    (job.folder / "images").mkdir()
    cameras: list[Camera] = []
    origin = "masks" if masks else "alpha channel"
    unseen = 0
    for k, each in enumerate(job.progress.track(posed, "Reading the pictures")):
        picture, has_alpha = _picture(each.path)
        if masks:
            picture[..., 3] = _mask(masks[k], (picture.shape[0], picture.shape[1]))
        straight = straightener(each.camera)
        picture = straight.picture(picture)
        maps = object_maps(mesh, straight.camera)
        unseen += not maps.inside.any()
        if not masks and not has_alpha:
            origin = OUTLINE
            x0, y0, x1, y1 = maps.box
            picture[..., 3] = 0
            picture[y0:y1, x0:x1, 3] = np.where(maps.inside, 255, 0)
        write_image(job.folder / _name(k), picture)
        cameras.append(straight.camera)
    if 2 * unseen > len(posed):
        raise AnrError(f"The mesh is out of the picture in {unseen} of {len(posed)} views.",
                       hint="Mesh and cameras must be in one frame and unit; --mesh-axes gltf turns a y-up mesh into a "
                            "z-up world.")
    if unseen:
        job.progress.warn(f"The mesh is out of the picture in {unseen} of {len(posed)} views.")
    return cameras, origin


def _picture(path: Path) -> tuple[np.ndarray, bool]:
    """(H, W, 4) uint8 straight alpha, and whether the file has an alpha channel that says something."""
    from PIL import Image

    try:
        with Image.open(path) as stored:
            picture = np.array(stored.convert("RGBA"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise AnrError(f"{path} is not a picture that can be read whole ({error}).", hint="Export it again.") from error
    return picture, bool((picture[..., 3] < 255).any())


def _mask(path: Path, size: tuple[int, int]) -> np.ndarray:
    from PIL import Image

    try:
        with Image.open(path) as stored:
            mask = np.array(stored.convert("L"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise AnrError(f"The mask {path} cannot be read ({error}).", hint="Export it again.") from error
    if mask.shape != size:
        raise AnrError(f"The mask {path} is {mask.shape[1]}x{mask.shape[0]}, its picture {size[1]}x{size[0]}.",
                       hint="A mask has the size of its picture.")
    return mask


def _check_masks(job: Job, raw: ObjectMesh, cameras: list[Camera]) -> None:
    """AnrError where the mesh does not lie upon the object that the masks show."""
    from pipelines.media.sheets import spread
    from pipelines.rigid.frames import read_view
    from pipelines.rigid.scene import LOOKED_AT, MESH_AXES, axes_of, check_overlap, overlap

    looked = spread(len(cameras), LOOKED_AT)
    alphas = {k: read_view(job.folder / _name(k))[..., 3] / 255.0 for k in looked}
    if not any((alpha > 0.5).any() for alpha in alphas.values()):
        raise AnrError("The masks show nothing: they are black in every view that was looked at.",
                       hint="White is the object.")
    found = {axes: float(np.mean([overlap(axes_of(raw, axes), cameras[k], alphas[k]) for k in looked]))
             for axes in MESH_AXES}
    check_overlap(found, job.options.mesh_axes)


def _tell(progress: Progress, shared: float, repeats: float, origin: str, up: str) -> None:
    progress.note(f"Masks: {origin}. Up is {up} of the cameras' world.")
    if repeats:
        progress.note(f"The texture repeats on {repeats:.0%} of the triangles: all repetitions share what is learned.")
    elif shared > SHARED_TOLD:
        progress.note(f"{shared:.0%} of the texture is used by more than one place of the surface (mirrored parts?): "
                      "they share what is learned. Where they look different, unwrap the mesh without overlaps.")


def _write_sheet(folder: Path, mesh: ObjectMesh, cameras: list[Camera]) -> None:
    """The mesh's surface drawn half transparent over a few pictures: mesh and object must lie upon each other."""
    from pipelines.media.images import write_image
    from pipelines.media.sheets import fit_height, label, spread, tile
    from pipelines.rigid.frames import read_view
    from pipelines.rigid.surface import object_maps

    shown = []
    for k in spread(len(cameras), SHEET_VIEWS):
        picture = read_view(folder / _name(k))[..., :3].astype(np.float32)
        maps = object_maps(mesh, cameras[k])
        x0, y0, x1, y1 = maps.box
        colour = np.concatenate([maps.uv * 255.0, np.full((*maps.inside.shape, 1), 128.0)], axis=-1)
        part = picture[y0:y1, x0:x1]
        part[maps.inside] = 0.5 * part[maps.inside] + 0.5 * colour[maps.inside]
        shown.append(label(fit_height(picture.astype(np.uint8), 240), f"view {k}"))
    write_image(folder / "views.jpg", tile(shown, columns=4))


def check(options: ObjectViewsOptions) -> None:
    """AnrError for axes and an up that are not known."""
    from pipelines.rigid.scene import AUTO, MESH_AXES, UPS

    for flag, value, known in (("--mesh-axes", options.mesh_axes, MESH_AXES), ("--up", options.up, (AUTO, *UPS))):
        if value not in known:
            raise AnrError(f"{flag} {value} is not known.", hint=f"Use one of {', '.join(known)}.")


STAGE = Stage(name="object-views", folder_name="views", version=1, doing="Reading mesh and pictures",
              Options=ObjectViewsOptions, run=run, check=check)
