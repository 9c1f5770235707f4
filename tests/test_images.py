"""Photos of every kind are read alike, or refused with one sentence."""

import io
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image
from skimage.data import astronaut

import tddfa.images
from tddfa.console import Note
from tddfa.images import png_bytes
from vrnlib.crop import described_photo
from vrnlib.images import PhotoError, as_photo, list_photos, read_photo


@pytest.fixture
def colors() -> np.ndarray:
    """(40, 60, 3): red top left, green top right, blue below."""
    image = np.zeros((40, 60, 3), np.uint8)
    image[:20, :30, 0] = 255
    image[:20, 30:, 1] = 255
    image[20:, :, 2] = 255
    return image


def test_rgb_comes_back_in_rgb(tmp_path, colors):
    Image.fromarray(colors).save(tmp_path / "a.png")
    read = read_photo(tmp_path / "a.png")
    assert read.dtype == np.uint8
    assert np.array_equal(read, colors)


def test_grey(tmp_path):
    grey = np.arange(40 * 60, dtype=np.uint8).reshape(40, 60)
    Image.fromarray(grey).save(tmp_path / "a.png")
    read = read_photo(tmp_path / "a.png")
    assert read.shape == (40, 60, 3)
    assert np.array_equal(read[:, :, 1], grey)


def test_16_bit_grey_is_scaled_and_not_cut_off(tmp_path):
    values = np.linspace(0, 65535, 40 * 60).reshape(40, 60).astype(np.uint16)
    for name in ("a.png", "a.tif"):
        Image.fromarray(values).save(tmp_path / name)
        read = read_photo(tmp_path / name)
        assert read.shape == (40, 60, 3)
        assert np.abs(read[:, :, 0] - values / 257.0).max() <= 0.5


def test_float_tiff(tmp_path):
    values = np.linspace(0, 1, 40 * 60, dtype=np.float32).reshape(40, 60)
    Image.fromarray(values).save(tmp_path / "a.tif")
    assert np.abs(read_photo(tmp_path / "a.tif")[:, :, 2] - values * 255).max() <= 0.51


def test_transparent_pixels_lie_on_white(tmp_path, colors):
    alpha = np.full((40, 60, 1), 255, np.uint8)
    alpha[:, :10] = 0
    Image.fromarray(np.concatenate([colors, alpha], axis=2)).save(tmp_path / "a.png")
    read = read_photo(tmp_path / "a.png")
    assert (read[:, :10] == 255).all()
    assert np.array_equal(read[:, 10:], colors[:, 10:])


def test_palette_with_transparency(tmp_path, colors):
    picture = Image.fromarray(colors).quantize(8)
    picture.save(tmp_path / "a.gif")
    picture.save(tmp_path / "a.png", transparency=0)
    assert np.array_equal(read_photo(tmp_path / "a.gif"), colors)
    assert read_photo(tmp_path / "a.png").shape == (40, 60, 3)


def test_cmyk(tmp_path, colors):
    Image.fromarray(colors).convert("CMYK").save(tmp_path / "a.jpg", quality=100, subsampling=0)
    assert np.abs(read_photo(tmp_path / "a.jpg").astype(int) - colors)[5:15, 5:25].max() < 12


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_exif_rotation_is_applied(tmp_path, colors, orientation):
    quarter_turns = {3: 2, 6: 1, 8: 3}[orientation]  # what a camera must have done for this tag
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.rot90(colors, quarter_turns)).save(tmp_path / "a.png", exif=exif)
    assert np.array_equal(read_photo(tmp_path / "a.png"), colors)


def test_12000_x_9000_is_read(tmp_path):
    picture = Image.new("1", (12000, 9000))
    picture.paste(1, (7000, 4000, 7100, 4100))
    picture.save(tmp_path / "a.png", compress_level=1)
    del picture
    read = read_photo(tmp_path / "a.png")
    assert read.shape == (9000, 12000, 3)
    assert (read[4050, 7050] == 255).all()
    assert (read[3950, 7050] == 0).all()


@pytest.mark.parametrize("side", [12500, 14000])
def test_more_than_the_limit_is_a_sentence(tmp_path, side):
    Image.new("1", (side, side)).save(tmp_path / "a.png")
    with pytest.raises(PhotoError, match="pixels"):
        read_photo(tmp_path / "a.png")


def test_8_x_8_is_refused(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    with pytest.raises(PhotoError, match="8 x 8"):
        read_photo(tmp_path / "a.png")


def test_what_is_no_photo_is_refused(tmp_path, colors):
    (tmp_path / "text.jpg").write_text("no picture")
    (tmp_path / "empty.jpg").write_bytes(b"")
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (200, 200, 3), np.uint8)).save(tmp_path / "whole.jpg")
    whole = (tmp_path / "whole.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    Image.fromarray(colors).save(tmp_path / "whole.png")
    data = bytearray((tmp_path / "whole.png").read_bytes())
    data[60:] = os.urandom(len(data) - 60)
    (tmp_path / "damaged.png").write_bytes(bytes(data))
    for name in ("text.jpg", "empty.jpg", "cut.jpg", "damaged.png", "missing.jpg", "."):
        with pytest.raises(PhotoError) as caught:
            read_photo(tmp_path / name)
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) > 20


def test_images_in_memory_are_checked():
    assert as_photo(np.zeros((40, 40), np.uint8)).shape == (40, 40, 3)
    for wrong in (np.zeros((40, 40, 3)), np.zeros((40, 40, 4), np.uint8), np.zeros((8, 8, 3), np.uint8)):
        with pytest.raises(PhotoError):
            as_photo(wrong)


def test_a_folder_lists_photos_by_what_files_hold(tmp_path):
    """By content, not by ending; with a reason for what is left out. A user's own t.json does not hide t.png."""
    picture = Image.new("RGB", (64, 64))
    for name, kind in (("a.png", "PNG"), ("b.JPG", "JPEG"), ("c.jfif", "JPEG"), ("d", "WEBP"), (".hidden.png", "PNG")):
        picture.save(tmp_path / name, kind)
    (tmp_path / "a.json").write_text('{"mine": 1}')
    (tmp_path / "text.jpg").write_text("no picture, but it wants to be one")
    (tmp_path / "phone.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(40))
    (tmp_path / "own_0.png").write_bytes(png_bytes(np.zeros((40, 40, 3), np.uint8), software="vrn crop"))
    picture.save(tmp_path / "older_0.png")
    (tmp_path / "older_0.json").write_text('{"matrix": [], "volume": {}}')
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "folder.png").mkdir()
    picture.save(tmp_path / "folder.png" / "e.gif", "GIF")
    photos, left_out = list_photos(tmp_path)
    assert [path.name for path in photos] == ["a.png", "b.JPG", "c.jfif", "d", "text.jpg"]
    reasons = {path.name: reason for path, reason in left_out}
    assert reasons.pop("phone.heic").startswith("a HEIC photo")
    assert reasons == {
        "a.json": "no picture",
        "older_0.json": "no picture",
        "older_0.png": "a result of this program",
        "own_0.png": "a result of this program",
        "pipe.png": "a device, a pipe or a broken link",
    }
    assert [path.name for path in list_photos(tmp_path, recursive=True)[0]][-2:] == ["e.gif", "text.jpg"]


def test_a_jpeg_that_lacks_its_last_bytes_is_read_with_a_note(tmp_path):
    face = Image.fromarray(astronaut())
    face.save(tmp_path / "whole.jpg", quality=90)
    whole = (tmp_path / "whole.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(whole[:-1000])
    with pytest.warns(Note, match="cut off"):
        found = read_photo(tmp_path / "cut.jpg")
    assert np.array_equal(found[:480], read_photo(tmp_path / "whole.jpg")[:480])
    (tmp_path / "half.jpg").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(PhotoError, match="lacks more than its last rows"):
        read_photo(tmp_path / "half.jpg")


@pytest.mark.parametrize(("values", "mode"), [((0, 2048, 4095), "uint16"), ((0, 50.0, 100.0), "float32")])
def test_grey_of_other_ranges_is_scaled_by_its_range(tmp_path, values, mode):
    """12 bits in 16, and floats beyond 255 or below it."""
    if mode == "float32":
        values = [value * 10 for value in values]
    grey = np.repeat(np.array(values, mode), 40)[None].repeat(40, axis=0)
    Image.fromarray(grey).save(tmp_path / "a.tif")
    assert np.abs(read_photo(tmp_path / "a.tif")[0, [0, 60, 119], 0].astype(int) - [0, 127, 255]).max() <= 1


@pytest.mark.parametrize(("name", "channels"), [("a.png", 3), ("a.png", 4), ("a.tif", 3), ("a.tif", 4), ("a.ppm", 3)])
def test_colours_of_12_bits_in_16_are_not_black(tmp_path, name, channels):
    """Pillow keeps the upper eight of sixteen bits."""
    picture = astronaut()
    deep = (picture.astype(np.uint32) * 4095 // 255).astype(np.uint16)
    if channels == 4:
        deep = np.dstack([deep, np.full(deep.shape[:2], 65535, np.uint16)])
        deep[:50, :, 3] = 0
    cv2.imwrite(str(tmp_path / name), cv2.cvtColor(deep, cv2.COLOR_RGB2BGR if channels == 3 else cv2.COLOR_RGBA2BGRA))
    read = read_photo(tmp_path / name)
    assert np.abs(read[50:].astype(int) - picture[50:]).max() <= 1
    assert (read[:50] == 255).all() == (channels == 4)


def test_a_dark_picture_of_8_bits_stays_dark(tmp_path):
    dark = np.random.default_rng(0).integers(0, 15, (40, 60, 3), np.uint8)
    Image.fromarray(dark).save(tmp_path / "a.png")
    assert np.array_equal(read_photo(tmp_path / "a.png"), dark)


def test_12_bits_are_turned_upright_too(tmp_path, colors):
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = np.ascontiguousarray(np.rot90(colors, 1))
    whole = io.BytesIO()
    Image.fromarray(turned).save(whole, "PNG", exif=exif)
    start = whole.getvalue().index(b"eXIf") - 4
    chunk = whole.getvalue()[start : start + 12 + int.from_bytes(whole.getvalue()[start : start + 4], "big")]
    deep = cv2.imencode(".png", (turned[:, :, ::-1].astype(np.uint16) * 16))[1].tobytes()
    (tmp_path / "a.png").write_bytes(deep[:33] + chunk + deep[33:])
    assert np.abs(read_photo(tmp_path / "a.png").astype(int) - colors).max() <= 1


@pytest.mark.parametrize(("mode", "white"), [("float32", 1), ("float64", 255), ("float32", 900), ("uint32", 2**32 - 1)])
def test_deep_colours_of_a_tiff_are_scaled_by_their_range(tmp_path, mode, white):
    picture = astronaut()
    tifffile.imwrite(tmp_path / "a.tif", (picture / 255 * white).astype(mode), photometric="rgb")
    assert np.abs(read_photo(tmp_path / "a.tif").astype(int) - picture).max() <= 1
    assert list_photos(tmp_path)[0] == [tmp_path / "a.tif"]
    with pytest.raises(PhotoError, match="512 x 512 pixels"):
        read_photo(tmp_path / "a.tif", max_pixels=1000)


@pytest.mark.parametrize(
    ("mode", "white"), [("u4", 2**32 - 1), ("u4", 65535), ("u4", 255), ("i4", 2**31 - 1), ("f8", 1)]
)
def test_grey_tiffs_of_32_bits_and_more_are_scaled_by_their_range(tmp_path, mode, white):
    grey = np.linspace(0, 1, 40 * 60).reshape(40, 60)
    tifffile.imwrite(tmp_path / "a.tif", (grey * white).astype(mode), photometric="minisblack")
    read = read_photo(tmp_path / "a.tif")
    assert read.shape == (40, 60, 3)
    assert np.abs(read - 255 * grey[:, :, None]).max() <= 1


@pytest.mark.parametrize("mode", ["u1", "u2", "u4"])
def test_a_tiff_may_count_from_white(tmp_path, mode):
    grey = np.linspace(0, 1, 40 * 60).reshape(40, 60)
    numbers = ((1 - grey) * np.iinfo(mode).max).astype(mode)
    tifffile.imwrite(tmp_path / "a.tif", numbers, photometric="miniswhite")
    assert np.abs(read_photo(tmp_path / "a.tif") - 255 * grey[:, :, None]).max() <= 1


@pytest.mark.parametrize("how", ["pixels", "planes", "packed", "jpeg"])
def test_ycbcr_tiffs_have_their_colours(tmp_path, colors, how):
    ycbcr = Image.fromarray(colors).convert("YCbCr")
    options = {"compression": {"packed": "zlib"}.get(how), "photometric": "ycbcr"}
    if how == "jpeg":
        ycbcr.save(tmp_path / "a.tif", compression="jpeg", quality=98)
    elif how == "planes":
        tifffile.imwrite(tmp_path / "a.tif", np.moveaxis(np.asarray(ycbcr), -1, 0), planarconfig="separate", **options)
    else:
        tifffile.imwrite(tmp_path / "a.tif", np.asarray(ycbcr), **options)
    read = read_photo(tmp_path / "a.tif").astype(int)
    assert np.abs(read - colors)[2:16, 2:26].max() < 12 and np.abs(read - colors)[24:].max() < 12


@pytest.mark.parametrize(("mode", "white"), [("u2", 4095), ("u2", 65535), ("f4", 1)])
@pytest.mark.parametrize(("orientation", "quarter_turns"), [(3, 2), (6, 1)])
def test_deep_tiffs_are_upright(tmp_path, colors, mode, white, orientation, quarter_turns):
    turned = (np.rot90(colors, quarter_turns) / 255 * white).astype(mode)
    tags = [(274, "H", 1, orientation, True)]
    tifffile.imwrite(tmp_path / "a.tif", turned, photometric="rgb", extratags=tags)
    assert np.array_equal(read_photo(tmp_path / "a.tif"), colors)


def test_deep_tiffs_that_nobody_reads_are_a_sentence(tmp_path, capfd):
    tifffile.imwrite(tmp_path / "half.tif", np.zeros((64, 64, 3), np.float16), photometric="rgb")
    tifffile.imwrite(tmp_path / "whole.tif", np.zeros((64, 64, 3), np.float32), photometric="rgb")
    (tmp_path / "cut.tif").write_bytes((tmp_path / "whole.tif").read_bytes()[:5000])
    for name in ("half.tif", "cut.tif"):
        with pytest.raises(PhotoError, match="is not a picture that can be read"):
            read_photo(tmp_path / name)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("mode", ["1", "L", "P"])
def test_one_bit_and_palettes(tmp_path, mode):
    black_and_white = Image.fromarray(astronaut()).convert("1")
    for name in ("a.png", "a.bmp", "a.tif", "a.gif"):
        black_and_white.convert(mode).save(tmp_path / name)
        read = read_photo(tmp_path / name)
        assert np.array_equal(read[:, :, 1] > 127, np.asarray(black_and_white)), name


@pytest.mark.parametrize("scheme", ["https://", "HTTP://", "ftp://", "s3://", "file:///"])
def test_an_address_is_to_be_downloaded_first(tmp_path, monkeypatch, scheme):
    for path in (f"{scheme}example.org/face.jpg", Path(f"{scheme}example.org/face.jpg")):
        with pytest.raises(PhotoError, match="download the photo"):
            read_photo(path)
    with pytest.raises(PhotoError, match="check the spelling"):
        read_photo("c:/faces/face.jpg")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "https:").mkdir()  # odd, but somebody's
    Image.new("RGB", (64, 64)).save(tmp_path / "https:" / "a.png")
    assert read_photo("https:/a.png").shape == (64, 64, 3)


def test_only_formats_of_photos_are_opened_and_no_pipes(tmp_path):
    """Pillow's reader of EPS starts Ghostscript; a pipe never answers."""
    (tmp_path / "photo.jpg").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n%%EndComments\n%%EOF\n")
    Image.new("RGB", (64, 64)).save(tmp_path / "x.pcx")
    for name in ("photo.jpg", "x.pcx"):
        with pytest.raises(tddfa.images.PhotoError, match="is not a picture that can be read"):
            tddfa.images.read_photo(tmp_path / name)
    os.mkfifo(tmp_path / "pipe.jpg")
    for path in (tmp_path / "pipe.jpg", "/dev/zero"):
        with pytest.raises(tddfa.images.PhotoError, match="a device or a pipe"):
            tddfa.images.read_photo(path)
    assert not tddfa.images.is_own_picture(tmp_path / "pipe.jpg")
    os.mkfifo(tmp_path / "ann.json")  # beside a photo
    Image.new("RGB", (64, 64)).save(tmp_path / "ann.png")
    assert not tddfa.images.is_own_picture(tmp_path / "ann.png")
    assert described_photo(tmp_path / "ann.json") is None
