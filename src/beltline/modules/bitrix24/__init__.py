"""Modules for the CRM of Bitrix24, over its REST API and an incoming webhook."""
