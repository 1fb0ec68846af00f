"""All enumerations of the service, with the values that the API and the database use."""

from app.enums.access import *
from app.enums.agents import *
from app.enums.code_hosts import *
from app.enums.events import *
from app.enums.notifications import *
from app.enums.questions import *
from app.enums.runs import *
from app.enums.tasks import *
from app.enums.verification import *
