"""Leads, deals, contacts and companies: their fields, declared once.

From these tables come the database's columns, the older methods (`crm.lead.*` and its kin), the
`crm.item.*` methods for entity types 1 to 4, and the answers of both `fields` methods.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from bitrix24_portal.fields import Field, camel

_ADDRESS_PARTS = (
    ("", "string", "Адрес"),
    ("_2", "string", "Адрес (стр. 2)"),
    ("_CITY", "string", "Город"),
    ("_POSTAL_CODE", "string", "Почтовый индекс"),
    ("_REGION", "string", "Район"),
    ("_PROVINCE", "string", "Область"),
    ("_COUNTRY", "string", "Страна"),
    ("_COUNTRY_CODE", "string", "Код страны"),
    ("_LOC_ADDR_ID", "integer", "Идентификатор адреса местоположения"),
)


@dataclass(frozen=True)
class Entity:
    """One kind of CRM object. `name` is the middle part of its older methods."""

    name: str
    type_id: int
    title: str  # what a nameless one is called, before its number
    fields: tuple[Field, ...]
    stage_field: str | None = None
    title_field: str = "TITLE"
    legacy_items: tuple[str, ...] = ()  # names that `crm.item.*` answers with null

    @property
    def code(self) -> str:
        """The name in capitals, as events and duplicates use it."""
        return self.name.upper()

    @cached_property
    def by_name(self) -> dict[str, Field]:
        """Fields by their name in capitals."""
        return {field.name: field for field in self.fields}

    @cached_property
    def by_item_name(self) -> dict[str, Field]:
        """Fields by their name in camel case."""
        return {field.item_name: field for field in self.fields if field.item_name is not None}

    @cached_property
    def columns(self) -> tuple[Field, ...]:
        """The fields that are columns of the entity's own table."""
        return tuple(field for field in self.fields if not field.is_multifield)

    @property
    def has_multifields(self) -> bool:
        """Whether phones and e-mails belong to it; a deal has none."""
        return "PHONE" in self.by_name


def _field(name: str, kind: str, title: str, **more: object) -> Field:
    """A field whose name in `crm.item.*` follows from its own, unless it is given."""
    more.setdefault("item_name", camel(name))
    return Field(name, kind, title, **more)  # type: ignore[arg-type]


def _older(name: str, kind: str, title: str, **more: object) -> Field:
    """A field that only the older methods have."""
    return _field(name, kind, title, item_name=None, **more)


def _newer(name: str, kind: str, title: str, **more: object) -> Field:
    """A field that only `crm.item.*` has."""
    return _field(name, kind, title, older=False, **more)


def _system(name: str, kind: str, title: str, **more: object) -> Field:
    """A field that the portal fills."""
    return _field(name, kind, title, read_only=True, **more)


def _address(prefix: str, title: str) -> tuple[Field, ...]:
    return tuple(
        _older(prefix + part, kind, f"{title}{label}") for part, kind, label in _ADDRESS_PARTS
    )


def _link(name: str, kind: str, title: str, **more: object) -> Field:
    type_id = {"crm_lead": 1, "crm_company": 4, "crm_quote": 7}.get(kind)
    return _field(name, kind, title, parent_type_id=type_id, **more)


_ID = _system("ID", "integer", "ID")
_PERSON = (
    _field("HONORIFIC", "crm_status", "Обращение", status_type="HONORIFIC"),
    _field("NAME", "string", "Имя"),
    _field("SECOND_NAME", "string", "Отчество"),
    _field("LAST_NAME", "string", "Фамилия"),
    _field("BIRTHDATE", "date", "Дата рождения"),
    _field("POST", "string", "Должность"),
)
_SOURCE = (
    _field("SOURCE_ID", "crm_status", "Источник", status_type="SOURCE"),
    _field("SOURCE_DESCRIPTION", "string", "Дополнительно об источнике"),
)
_MONEY = (
    _field("CURRENCY_ID", "crm_currency", "Валюта", default="RUB"),
    _field("OPPORTUNITY", "double", "Сумма", default=0.0),
    _field("IS_MANUAL_OPPORTUNITY", "char", "Ручной режим расчёта суммы", default="N"),
)
_OWNERSHIP = (
    _field("OPENED", "char", "Доступен для всех", default="Y"),
    _field("COMMENTS", "string", "Комментарий"),
    _field("ASSIGNED_BY_ID", "user", "Ответственный"),
    _system("CREATED_BY_ID", "user", "Кем создан", item_name="createdBy"),
    _system("MODIFY_BY_ID", "user", "Кем изменён", item_name="updatedBy"),
    _system("DATE_CREATE", "datetime", "Дата создания", item_name="createdTime"),
    _system("DATE_MODIFY", "datetime", "Дата изменения", item_name="updatedTime"),
    _field("ORIGINATOR_ID", "string", "Внешний источник"),
    _field("ORIGIN_ID", "string", "Идентификатор элемента во внешнем источнике"),
    _newer("OBSERVERS", "user", "Наблюдатели", multiple=True),
    _newer("WEBFORM_ID", "integer", "Создано CRM-формой"),
)
_MOVED = (
    _system("MOVED_BY_ID", "user", "Кем передвинут", item_name="movedBy"),
    _system("MOVED_TIME", "datetime", "Когда передвинут"),
)
_TRAFFIC = (
    _field("UTM_SOURCE", "string", "Рекламная система"),
    _field("UTM_MEDIUM", "string", "Тип трафика"),
    _field("UTM_CAMPAIGN", "string", "Обозначение рекламной кампании"),
    _field("UTM_CONTENT", "string", "Содержание кампании"),
    _field("UTM_TERM", "string", "Условие поиска кампании"),
    _system("LAST_ACTIVITY_TIME", "datetime", "Последняя активность"),
    _system("LAST_ACTIVITY_BY", "user", "Автор последней активности"),
)
_REACHED = (
    _system("HAS_PHONE", "char", "Задан телефон", default="N"),
    _system("HAS_EMAIL", "char", "Задан e-mail", default="N"),
    _system("HAS_IMOL", "char", "Задана открытая линия", default="N"),
    _older("PHONE", "crm_multifield", "Телефон", multiple=True),
    _older("EMAIL", "crm_multifield", "E-mail", multiple=True),
    _older("WEB", "crm_multifield", "Сайт", multiple=True),
    _older("IM", "crm_multifield", "Мессенджер", multiple=True),
    _older("LINK", "crm_multifield", "Открытая линия", multiple=True),
)
_CLIENT = (
    _link("COMPANY_ID", "crm_company", "Компания"),
    _field("CONTACT_ID", "crm_contact", "Контакт", deprecated=True),
    _field("CONTACT_IDS", "crm_contact", "Контакты", multiple=True),
)
_DATE_COPIES = ("dateCreateShort", "dateModifyShort")
_REACHED_LEGACY = ("login", "shortName", "searchContent", "address")

LEAD = Entity(
    "lead",
    1,
    "Лид",
    (
        _ID,
        _field("TITLE", "string", "Название лида"),
        *_PERSON,
        _field("COMPANY_TITLE", "string", "Название компании"),
        *_SOURCE,
        _field("STATUS_ID", "crm_status", "Стадия", item_name="stageId", status_type="STATUS"),
        _field("STATUS_DESCRIPTION", "string", "Дополнительно о стадии"),
        _system("STATUS_SEMANTIC_ID", "string", "Группа стадии", item_name="stageSemanticId"),
        *_address("ADDRESS", ""),
        *_MONEY,
        *_OWNERSHIP,
        *_MOVED,
        *_CLIENT,
        _system("IS_RETURN_CUSTOMER", "char", "Повторный лид", default="N"),
        _system("DATE_CLOSED", "datetime", "Дата завершения"),
        *_TRAFFIC,
        *_REACHED,
    ),
    stage_field="STATUS_ID",
    legacy_items=(*_DATE_COPIES, *_REACHED_LEGACY, "isConvert", "productId", "skype", "icq"),
)

DEAL = Entity(
    "deal",
    2,
    "Сделка",
    (
        _ID,
        _field("TITLE", "string", "Название"),
        _field("TYPE_ID", "crm_status", "Тип", status_type="DEAL_TYPE", default="SALE"),
        _field("CATEGORY_ID", "crm_category", "Воронка", immutable=True, default=0),
        _field("STAGE_ID", "crm_status", "Стадия сделки", status_type="DEAL_STAGE"),
        _system("STAGE_SEMANTIC_ID", "string", "Группа стадии"),
        _system("IS_NEW", "char", "Новая сделка", default="Y"),
        _field("IS_RECURRING", "char", "Регулярная сделка", default="N"),
        _field("IS_RETURN_CUSTOMER", "char", "Повторная сделка", default="N"),
        _field("IS_REPEATED_APPROACH", "char", "Повторное обращение", default="N"),
        _field("PROBABILITY", "integer", "Вероятность"),
        *_MONEY,
        _field("TAX_VALUE", "double", "Ставка налога", default=0.0),
        *_CLIENT,
        _link("QUOTE_ID", "crm_quote", "Предложение", read_only=True),
        _field("BEGINDATE", "date", "Дата начала"),
        _field("CLOSEDATE", "date", "Дата завершения"),
        _field("CLOSED", "char", "Закрыта", default="N"),
        *_OWNERSHIP,
        *_MOVED,
        *_SOURCE,
        _link("LEAD_ID", "crm_lead", "Лид", read_only=True),
        _field("ADDITIONAL_INFO", "string", "Дополнительная информация"),
        _field("LOCATION_ID", "location", "Местоположение"),
        *_TRAFFIC,
    ),
    stage_field="STAGE_ID",
    legacy_items=(
        *_DATE_COPIES,
        *("begindateShort", "closedateShort", "eventDate", "eventDateShort", "eventId"),
        *("eventDescription", "productId", "searchContent", "orderStage", "isWork", "isWon"),
        *("isLose", "receivedAmount", "lostAmount", "hasProducts"),
    ),
)

CONTACT = Entity(
    "contact",
    3,
    "Контакт",
    (
        _ID,
        *_PERSON,
        _field("PHOTO", "file", "Фотография"),
        _field("TYPE_ID", "crm_status", "Тип контакта", status_type="CONTACT_TYPE"),
        *_SOURCE,
        *_address("ADDRESS", ""),
        _field("EXPORT", "char", "Участвует в экспорте контактов", default="Y"),
        *_OWNERSHIP,
        _field("ORIGIN_VERSION", "string", "Версия оригинала"),
        _link("COMPANY_ID", "crm_company", "Компания", deprecated=True),
        _field("COMPANY_IDS", "crm_company", "Компании", multiple=True),
        _link("LEAD_ID", "crm_lead", "Лид", read_only=True),
        _older("FACE_ID", "integer", "Привязка к лицам", read_only=True),
        *_TRAFFIC,
        *_REACHED,
    ),
    title_field="LAST_NAME",
    legacy_items=_REACHED_LEGACY,
)

COMPANY = Entity(
    "company",
    4,
    "Компания",
    (
        _ID,
        _field("TITLE", "string", "Название компании", required=True),
        _field(
            "COMPANY_TYPE",
            "crm_status",
            "Тип компании",
            item_name="typeId",
            status_type="COMPANY_TYPE",
        ),
        _field("LOGO", "file", "Логотип"),
        *_address("ADDRESS", ""),
        _older("ADDRESS_LEGAL", "string", "Юридический адрес"),
        *_address("REG_ADDRESS", "Юридический адрес: "),
        _field("BANKING_DETAILS", "string", "Банковские реквизиты"),
        _field("INDUSTRY", "crm_status", "Сфера деятельности", status_type="INDUSTRY"),
        _field("EMPLOYEES", "crm_status", "Кол-во сотрудников", status_type="EMPLOYEES"),
        _field("CURRENCY_ID", "crm_currency", "Валюта", default="RUB"),
        _field("REVENUE", "double", "Годовой оборот", default=0.0),
        _field("IS_MY_COMPANY", "char", "Моя компания", default="N"),
        *_OWNERSHIP,
        _field("ORIGIN_VERSION", "string", "Версия оригинала"),
        _field("CONTACT_ID", "crm_contact", "Контакт", item_name="contactIds", multiple=True),
        _link("LEAD_ID", "crm_lead", "Лид", read_only=True),
        *_TRAFFIC,
        _system("LAST_COMMUNICATION_TIME", "string", "Дата последней коммуникации"),
        *_REACHED,
    ),
    legacy_items=("login", "searchContent", "address", "addressLegal"),
)

ENTITIES = (LEAD, DEAL, CONTACT, COMPANY)
BY_TYPE_ID = {entity.type_id: entity for entity in ENTITIES}
BY_CODE = {entity.code: entity for entity in ENTITIES}
