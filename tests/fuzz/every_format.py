"""Every format that the harness reads, by name."""

from tests.fuzz.data_formats import DATA_FORMATS
from tests.fuzz.run_formats import RUN_FORMATS
from tests.fuzz.setting_formats import SETTING_FORMATS

FORMATS = {form.name: form for form in (*DATA_FORMATS, *RUN_FORMATS, *SETTING_FORMATS)}
