"""The smaller tables around the entities: statuses, categories, comments, activities, and users.

They are declared with the same fields as the entities, so that one reader of filters and one way of
showing values serve them all. The directories' first contents are those of a fresh portal.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from bitrix24_portal.fields import Field


@dataclass(frozen=True)
class Table:
    """A table with an id and declared columns."""

    name: str
    fields: tuple[Field, ...]

    @cached_property
    def by_name(self) -> dict[str, Field]:
        """Fields by their name in capitals."""
        return {field.name: field for field in self.fields}


_ID = Field("ID", "integer", "ID", read_only=True, item_name="id")

STATUS = Table(
    "status",
    (
        _ID,
        Field("ENTITY_ID", "string", "Справочник", required=True, immutable=True),
        Field("STATUS_ID", "string", "Статус", required=True, immutable=True),
        Field("SORT", "integer", "Сортировка", default=10),
        Field("NAME", "string", "Название", required=True),
        Field("NAME_INIT", "string", "Название по умолчанию", read_only=True, default=""),
        Field("SYSTEM", "char", "Системный", read_only=True, default="N"),
        Field("CATEGORY_ID", "integer", "Воронка", immutable=True),
        Field("COLOR", "string", "Цвет"),
        Field("SEMANTICS", "char", "Семантика", immutable=True),
    ),
)

CATEGORY = Table(
    "category",
    (
        _ID,
        Field("NAME", "string", "Название", item_name="name"),
        Field("SORT", "integer", "Сортировка", item_name="sort", default=500),
        Field(
            "ENTITY_TYPE_ID",
            "integer",
            "Тип объекта",
            item_name="entityTypeId",
            required=True,
            read_only=True,
        ),
        Field("IS_DEFAULT", "char", "По умолчанию", item_name="isDefault", default="N"),
        Field("ORIGIN_ID", "string", "Внешний ключ", item_name="originId", default=""),
        Field("ORIGINATOR_ID", "string", "Внешний источник", item_name="originatorId", default=""),
    ),
)

COMMENT = Table(
    "comment",
    (
        _ID,
        Field("ENTITY_ID", "integer", "Элемент CRM", required=True, immutable=True),
        Field("ENTITY_TYPE", "string", "Тип объекта CRM", required=True, immutable=True),
        Field("CREATED", "datetime", "Создан", read_only=True),
        Field("COMMENT", "string", "Текст", required=True),
        Field("AUTHOR_ID", "user", "Автор", read_only=True),
    ),
)

ACTIVITY = Table(
    "activity",
    (
        _ID,
        Field("OWNER_ID", "integer", "Элемент CRM", required=True),
        Field("OWNER_TYPE_ID", "integer", "Тип объекта CRM", required=True),
        Field("TYPE_ID", "integer", "Тип дела", required=True),
        Field("PROVIDER_ID", "string", "Провайдер"),
        Field("PROVIDER_TYPE_ID", "string", "Тип провайдера"),
        Field("PROVIDER_GROUP_ID", "string", "Группа провайдера"),
        Field("ASSOCIATED_ENTITY_ID", "integer", "Связанный объект", default=0),
        Field("SUBJECT", "string", "Тема", default=""),
        Field("CREATED", "datetime", "Создано", read_only=True),
        Field("LAST_UPDATED", "datetime", "Изменено", read_only=True),
        Field("START_TIME", "datetime", "Начало"),
        Field("END_TIME", "datetime", "Завершение"),
        Field("DEADLINE", "datetime", "Срок"),
        Field("COMPLETED", "char", "Завершено", default="N"),
        Field("STATUS", "integer", "Статус", default=1),
        Field("RESPONSIBLE_ID", "user", "Ответственный", required=True),
        Field("PRIORITY", "integer", "Приоритет", default=2),
        Field("NOTIFY_TYPE", "integer", "Тип уведомления", default=0),
        Field("NOTIFY_VALUE", "integer", "Уведомить за", default=0),
        Field("DESCRIPTION", "string", "Описание", default=""),
        Field("DESCRIPTION_TYPE", "integer", "Тип описания", default=1),
        Field("DIRECTION", "integer", "Направление", default=0),
        Field("LOCATION", "string", "Место", default=""),
        Field("ORIGINATOR_ID", "string", "Внешний источник"),
        Field("ORIGIN_ID", "string", "Внешний ключ"),
        Field("AUTHOR_ID", "user", "Автор", read_only=True),
        Field("EDITOR_ID", "user", "Редактор", read_only=True),
        Field("PROVIDER_DATA", "string", "Данные провайдера"),
        Field("RESULT_MARK", "integer", "Оценка", read_only=True, default=0),
        Field("RESULT_VALUE", "double", "Результат", read_only=True),
        Field("RESULT_SUM", "double", "Сумма", read_only=True),
        Field("RESULT_CURRENCY_ID", "string", "Валюта", read_only=True),
        Field("RESULT_STATUS", "integer", "Итог", read_only=True, default=0),
        Field("RESULT_STREAM", "integer", "Поток", read_only=True, default=0),
        Field("RESULT_SOURCE_ID", "string", "Источник", read_only=True),
        Field("AUTOCOMPLETE_RULE", "integer", "Автозавершение", read_only=True, default=0),
    ),
)

TASK = Table(
    "task",
    (
        _ID,
        Field("TITLE", "string", "Название", item_name="title", required=True),
        Field("DESCRIPTION", "string", "Описание", item_name="description", default=""),
        Field("STATUS", "integer", "Статус", item_name="status", default=2),
        Field("PRIORITY", "integer", "Приоритет", item_name="priority", default=1),
        Field("RESPONSIBLE_ID", "user", "Исполнитель", item_name="responsibleId", required=True),
        Field("CREATED_BY", "user", "Постановщик", item_name="createdBy"),
        Field("CREATED_DATE", "datetime", "Создана", item_name="createdDate", read_only=True),
        Field("CHANGED_BY", "user", "Кем изменена", item_name="changedBy", read_only=True),
        Field("CHANGED_DATE", "datetime", "Изменена", item_name="changedDate", read_only=True),
        Field("DEADLINE", "datetime", "Крайний срок", item_name="deadline"),
        Field("GROUP_ID", "integer", "Группа", item_name="groupId", default=0),
        Field("PARENT_ID", "integer", "Родительская задача", item_name="parentId"),
        Field("XML_ID", "string", "Внешний ключ", item_name="xmlId"),
        Field("GUID", "string", "GUID", item_name="guid", read_only=True),
        Field("DESCRIPTION_IN_BBCODE", "char", "BB", item_name="descriptionInBbcode", default="Y"),
        # The entries of the CRM that the task is about, as `D_410`: kept as JSON text.
        Field("UF_CRM_TASK", "string", "Элементы CRM", item_name="ufCrmTask"),
    ),
)


@dataclass(frozen=True, slots=True)
class Stage:
    """An entry of a directory; `semantics` S is a success, F a failure, None work going on."""

    status_id: str
    name: str
    color: str | None = None
    semantics: str | None = None


DEAL_STAGES = (
    Stage("NEW", "Новая", "#39A8EF"),
    Stage("PREPARATION", "Подготовка документов", "#2FC6F6"),
    Stage("PREPAYMENT_INVOICE", "Счёт на предоплату", "#55D0E0"),
    Stage("EXECUTING", "В работе", "#47E4C2"),
    Stage("FINAL_INVOICE", "Финальный счёт", "#FFA900"),
    Stage("WON", "Сделка успешна", "#7BD500", "S"),
    Stage("LOSE", "Сделка провалена", "#FF5752", "F"),
    Stage("APOLOGY", "Анализ причины провала", "#FF5752", "F"),
)
SYSTEM_STAGES = frozenset({"NEW", "WON", "LOSE", "CONVERTED", "JUNK"})

DIRECTORIES: dict[str, tuple[Stage, ...]] = {
    "STATUS": (
        Stage("NEW", "Не обработан", "#39A8EF"),
        Stage("IN_PROCESS", "В работе", "#2FC6F6"),
        Stage("PROCESSED", "Обработан", "#55D0E0"),
        Stage("CONVERTED", "Качественный лид", "#7BD500", "S"),
        Stage("JUNK", "Некачественный лид", "#FF5752", "F"),
    ),
    "DEAL_STAGE": DEAL_STAGES,
    "SOURCE": (
        Stage("CALL", "Звонок"),
        Stage("EMAIL", "Электронная почта"),
        Stage("WEB", "Веб-сайт"),
        Stage("ADVERTISING", "Реклама"),
        Stage("PARTNER", "Существующий клиент"),
        Stage("RECOMMENDATION", "По рекомендации"),
        Stage("TRADE_SHOW", "Выставка"),
        Stage("WEBFORM", "CRM-форма"),
        Stage("CALLBACK", "Обратный звонок"),
        Stage("RC_GENERATOR", "Генератор продаж"),
        Stage("STORE", "Интернет-магазин"),
        Stage("OTHER", "Другое"),
    ),
    "DEAL_TYPE": (
        Stage("SALE", "Продажа"),
        Stage("COMPLEX", "Комплексная продажа"),
        Stage("GOODS", "Продажа товара"),
        Stage("SERVICES", "Продажа услуги"),
        Stage("SERVICE", "Сервисное обслуживание"),
    ),
    "CONTACT_TYPE": (
        Stage("CLIENT", "Клиенты"),
        Stage("SUPPLIER", "Поставщики"),
        Stage("PARTNER", "Партнёры"),
        Stage("OTHER", "Другое"),
    ),
    "COMPANY_TYPE": (
        Stage("CUSTOMER", "Клиент"),
        Stage("SUPPLIER", "Поставщик"),
        Stage("COMPETITOR", "Конкурент"),
        Stage("PARTNER", "Партнёр"),
        Stage("OTHER", "Другое"),
    ),
    "INDUSTRY": (
        Stage("IT", "Информационные технологии"),
        Stage("MANUFACTURING", "Производство"),
        Stage("DELIVERY", "Доставка"),
        Stage("OTHER", "Другое"),
    ),
    "EMPLOYEES": (
        Stage("EMPLOYEES_1", "менее 50"),
        Stage("EMPLOYEES_2", "50-250"),
        Stage("EMPLOYEES_3", "250-500"),
        Stage("EMPLOYEES_4", "более 500"),
    ),
    "HONORIFIC": (Stage("HNR_RU_1", "Г-н"), Stage("HNR_RU_2", "Г-жа")),
}


@dataclass(frozen=True, slots=True)
class User:
    """A person of the portal; the stand-in has a fixed few."""

    id: int
    name: str
    last_name: str
    email: str
    position: str


USERS = (
    User(1, "Анна", "Волкова", "anna.volkova@example.ru", "Руководитель отдела продаж"),
    User(2, "Пётр", "Соколов", "petr.sokolov@example.ru", "Менеджер"),
    User(3, "Мария", "Лебедева", "maria.lebedeva@example.ru", "Менеджер"),
)
