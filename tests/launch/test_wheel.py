"""An installed wheel finds its configs and its data inside the package."""

import subprocess
import sys
import zipfile

import pytest

from tests.conftest import REPOSITORY


@pytest.mark.slow
def test_the_wheel_works_outside_the_checkout(own_place, cache):
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(own_place), str(REPOSITORY)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = own_place.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert "aigc/conf/train.yaml" in names
    assert "aigc/assets/tang_quatrains.tsv" in names
    assert {f"aigc/guides/{path.name}" for path in (REPOSITORY / "aigc/guides").iterdir()} <= set(names)
    assert not any(name.startswith(("conf/", "tests/")) for name in names)
    site = own_place / "site"
    zipfile.ZipFile(wheel).extractall(site)
    # -S excludes the checkout's editable install; the dependencies still come from the environment.
    libraries = next(path for path in sys.path if path.endswith("site-packages"))
    code = (
        f"import sys; sys.path[:0] = [{str(site)!r}]; sys.path.append({libraries!r})\n"
        "from aigc.cli.main import main; import aigc; assert 'site' in aigc.__file__\n"
        "sys.exit(main(['validate']) or main(['train', 'debug=fast', 'logger=none']))"
    )
    done = subprocess.run([sys.executable, "-S", "-c", code], cwd=own_place, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "the config is valid" in done.stdout
