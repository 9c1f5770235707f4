"""Volume files: exact, small, whole or not there; and the two older formats with their axes and signs."""

import io
import os
import zipfile

import numpy as np
import pytest

from tddfa import load_volume, read_vrn_npy, read_vrn_raw, save_volume


@pytest.fixture(scope="module")
def solid() -> np.ndarray:
    """A lopsided ellipsoid, different along each axis."""
    z, y, x = np.ogrid[:200, :192, :192]
    return ((z - 90) / 80.0) ** 2 + ((y - 100) / 60.0) ** 2 + ((x - 80) / 40.0 + 0.002 * y) ** 2 < 1


def test_reads_back_exactly_and_is_small(tmp_path, solid):
    path = save_volume(tmp_path / "face.npz", solid, offset=99.25, meta={"photo": "Ä.jpg", "box": [1, 2.5]})
    volume, offset, meta = load_volume(path)
    np.testing.assert_array_equal(volume, solid)
    assert volume.dtype == bool and offset == 99.25 and meta == {"photo": "Ä.jpg", "box": [1, 2.5]}
    assert path.stat().st_size < 60_000  # 7.4 MB as bytes
    assert os.listdir(tmp_path) == ["face.npz"]


@pytest.mark.parametrize("shape", [(0, 4, 4), (1, 1, 1), (3, 5, 7), (200, 48, 48)])
def test_other_shapes_and_noise(tmp_path, shape):
    noise = np.random.default_rng(0).random(shape) < 0.5
    volume, _, meta = load_volume(save_volume(tmp_path / "v.npz", noise, offset=0))
    np.testing.assert_array_equal(volume, noise)
    assert volume.shape == shape and meta == {}


def test_same_content_same_bytes(tmp_path, solid):
    files = [save_volume(tmp_path / name, solid, offset=1.5, meta={"a": 1}).read_bytes() for name in ("a.npz", "b.npz")]
    assert files[0] == files[1]


def test_numbers_are_accepted_only_when_they_are_bits(tmp_path, solid):
    volume, _, _ = load_volume(save_volume(tmp_path / "v.npz", solid.astype(np.float32), offset=0))
    np.testing.assert_array_equal(volume, solid)
    with pytest.raises(ValueError, match="0 and 1"):
        save_volume(tmp_path / "w.npz", solid * np.float32(0.7), offset=0)
    with pytest.raises(ValueError, match="0 and 1"):
        save_volume(tmp_path / "w.npz", np.full((2, 2, 2), np.nan), offset=0)
    with pytest.raises(ValueError, match="depth, height, width"):
        save_volume(tmp_path / "w.npz", solid[0], offset=0)
    with pytest.raises(ValueError, match="finite depth offset"):
        save_volume(tmp_path / "w.npz", solid, offset=float("nan"))
    with pytest.raises(ValueError, match="JSON"):
        save_volume(tmp_path / "w.npz", solid, offset=0, meta={"a": solid})
    assert os.listdir(tmp_path) == ["v.npz"]


def test_truncated_files_are_refused(tmp_path, solid):
    data = save_volume(tmp_path / "v.npz", solid, offset=0).read_bytes()
    for size in (0, 1, 40, 200, len(data) // 2, len(data) - 1):
        (tmp_path / "cut.npz").write_bytes(data[:size])
        with pytest.raises(ValueError, match="volume file"):
            load_volume(tmp_path / "cut.npz")


def test_a_changed_byte_never_gives_another_volume(tmp_path, solid):
    path, rng = tmp_path / "v.npz", np.random.default_rng(0)
    data = save_volume(path, solid[:, :64, :64], offset=3.0, meta={"name": "x"}).read_bytes()
    for _ in range(150):
        changed = bytearray(data)
        changed[rng.integers(len(data))] ^= int(rng.integers(1, 256))
        path.write_bytes(changed)
        try:
            volume, offset, meta = load_volume(path)
        except ValueError as error:
            assert "volume file" in str(error)
        else:  # a byte that does not matter, such as a date in the zip's directory
            np.testing.assert_array_equal(volume, solid[:, :64, :64])
            assert offset == 3.0 and meta == {"name": "x"}


def write_entries(path, **entries):
    with zipfile.ZipFile(path, "w") as archive:
        for name, value in entries.items():
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, np.asarray(value), allow_pickle=True)
            archive.writestr(f"{name}.npy", buffer.getvalue())


def entries(**changed):
    good = {
        "voxels": np.zeros((4, 2), np.uint8),
        "box": np.array([[0, 4]] * 3),
        "shape": np.array([4, 4, 4]),
        "offset": np.float64(1),
        "meta": np.frombuffer(b"{}", np.uint8),
        "format": np.int64(2),
    }
    return {name: value for name, value in {**good, **changed}.items() if value is not None}


@pytest.mark.parametrize(
    "changed",
    [
        {"voxels": None},
        {"voxels": np.zeros((4, 3), np.uint8)},
        {"voxels": np.zeros(8, np.uint8)},
        {"voxels": np.zeros((4, 2), np.int8)},
        {"voxels": np.array([{"a": 1}], object)},
        {"box": np.array([0, 4])},
        {"box": np.array([[0, 4], [0, 4], [1, 5]])},
        {"box": np.array([[0, 4], [3, 1], [0, 4]])},
        {"box": np.array([[0, 4], [0, 4], [-4, 0]])},
        {"shape": np.array([4, 4])},
        {"shape": np.array([-4, -4, 4])},
        {"shape": np.array([2**40, 2**40, 2**40])},
        {"shape": np.array([2**10, 2**10, 2**10])},  # which a few bytes would fill with gigabytes
        {"offset": np.float64(np.nan)},
        {"offset": np.zeros(2)},
        {"meta": np.frombuffer(b"{", np.uint8)},
        {"meta": np.frombuffer(b"\xff\xfe", np.uint8)},
        {"format": np.int64(1)},
        {"format": np.array(["new"])},
    ],
)
def test_foreign_entries_are_refused(tmp_path, changed):
    write_entries(tmp_path / "good.npz", **entries())
    assert load_volume(tmp_path / "good.npz")[0].shape == (4, 4, 4)
    write_entries(tmp_path / "bad.npz", **entries(**changed))
    with pytest.raises(ValueError, match="volume file written by save_volume"):
        load_volume(tmp_path / "bad.npz")


@pytest.mark.parametrize("header", ["{", "{'shape': (((((", "(" * 5000, "{'descr': 3, 'shape': 'x'}", "\0"])
def test_damaged_headers_of_arrays_are_told(tmp_path, header):
    """NumPy ends in errors of its tokenizer, its parser or its types."""
    data = b"\x93NUMPY\x01\x00" + (len(header) + 1).to_bytes(2, "little") + header.encode() + b"\n"
    (tmp_path / "array.npy").write_bytes(data)
    with pytest.raises(ValueError, match=r"Expected an .npy array in .*damaged header"):
        read_vrn_npy(tmp_path / "array.npy")
    with zipfile.ZipFile(tmp_path / "volume.npz", "w") as archive:
        for name in entries():
            archive.writestr(f"{name}.npy", data)
    with pytest.raises(ValueError, match="volume file written by save_volume"):
        load_volume(tmp_path / "volume.npz")


def test_other_files_are_refused(tmp_path, solid):
    np.save(tmp_path / "v.npy", solid)
    (tmp_path / "text.npz").write_text("a face")
    np.savez(tmp_path / "other.npz", u=np.zeros(3))
    for name in ("v.npy", "text.npz", "other.npz"):
        with pytest.raises(ValueError, match="volume file"):
            load_volume(tmp_path / name)
    with pytest.raises(FileNotFoundError, match="no such file"):
        load_volume(tmp_path / "none.npz")
    with pytest.raises(OSError, match="check the folder"):
        save_volume(tmp_path / "none" / "v.npz", solid, offset=0)


def test_a_disk_that_fills_up_leaves_the_old_file_and_nothing_else(tmp_path, solid):
    resource = pytest.importorskip("resource", reason="limits on a file's size exist on Unix only")
    noise = np.random.default_rng(0).random((64, 64, 64)) < 0.5  # 32 kB that do not compress
    path = save_volume(tmp_path / "v.npz", solid, offset=1.0)
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        with pytest.raises(OSError, match="check the folder and free space"):
            save_volume(path, noise, offset=0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["v.npz"]


def test_the_originals_npy_is_indexed_x_y_z(tmp_path, solid):
    np.save(tmp_path / "target.npy", solid.transpose(2, 1, 0).astype(np.uint8))
    volume = read_vrn_npy(tmp_path / "target.npy")
    np.testing.assert_array_equal(volume, solid)
    assert volume.dtype == bool and volume.flags.c_contiguous
    swapped = solid.transpose(1, 2, 0)  # the mistake: x and y swapped has the same shape, and is another solid
    assert (swapped != solid.transpose(2, 1, 0)).mean() > 0.01
    np.save(tmp_path / "ours.npy", solid)
    with pytest.raises(ValueError, match=r"\[x, y, z\] array of shape \(192, 192, 200\).*got \(200, 192, 192\)"):
        read_vrn_npy(tmp_path / "ours.npy")
    np.save(tmp_path / "probability.npy", np.full((192, 192, 200), 0.3, np.float16))
    with pytest.raises(ValueError, match="0 and 1"):
        read_vrn_npy(tmp_path / "probability.npy")
    np.save(tmp_path / "pickle.npy", np.array([{}], object), allow_pickle=True)
    with pytest.raises(ValueError, match=r"\.npy array"):
        read_vrn_npy(tmp_path / "pickle.npy")


def test_the_raw_dump_is_unsigned(tmp_path, solid):
    """VRN's own exporter read the dump as int8: 255, certainly inside, became -1."""
    probability = np.where(solid, 255, 20).astype(np.uint8)
    probability.tofile(tmp_path / "face.raw")
    volume = read_vrn_raw(tmp_path / "face.raw")
    np.testing.assert_array_equal(volume, probability)
    np.testing.assert_array_equal(volume >= 128, solid)
    signed = np.fromfile(tmp_path / "face.raw", np.int8).reshape(200, 192, 192)
    assert not (signed >= 128).any() and (signed[solid] < signed[~solid].max()).all()
    (tmp_path / "face.raw").write_bytes(b"\0" * 100)
    with pytest.raises(ValueError, match="Expected 7372800 bytes"):
        read_vrn_raw(tmp_path / "face.raw")
